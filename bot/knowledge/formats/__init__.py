"""The loaders, a module or a package for each family of formats, and what they share. They run in the converter's process."""
