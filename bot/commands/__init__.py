"""The commands, each a few lines that call another package. A slow import stands in the command that needs it."""
