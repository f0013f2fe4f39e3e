"""The loaders: a module or package for each family of formats, and their shared parts. They run in the converter's process."""
