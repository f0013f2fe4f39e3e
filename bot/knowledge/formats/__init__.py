"""The loaders, one module a format. They run in the converter's process only."""
