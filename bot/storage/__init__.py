"""What the application keeps: `base` says what, `sqlite*` keep it in two files under the data folder."""
