"""What the house keeps: `base` says what, `sqlite*` keep it in two files under the data folder."""
