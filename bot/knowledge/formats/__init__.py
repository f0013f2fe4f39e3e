"""The loaders, a module or a package for each family of formats, with their shared parts. They run in the converter's process."""
