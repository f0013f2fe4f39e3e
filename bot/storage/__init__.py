"""Storage: `base` has the protocols, `sqlite` implements them with two files in the data folder, `stores` opens these."""
