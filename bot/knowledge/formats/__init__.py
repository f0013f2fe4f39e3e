"""The loaders, a module or a package for each family of formats, and what they share. Only the converter's process runs them."""
