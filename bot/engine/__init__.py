"""One question -> one answer. Knows no platform, and nothing of how things are stored."""
