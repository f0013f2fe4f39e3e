"""Documents become blocks, passages and an index; questions find passages in it."""
