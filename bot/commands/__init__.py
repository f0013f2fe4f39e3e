"""The commands, each a few lines that call a room. What takes long to import is imported by the command that needs it."""
