"""The loaders, a module or a package for each family of formats, with shared modules. They run in the converter's process."""
