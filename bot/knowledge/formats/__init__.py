"""One module a format that people keep knowledge in: bytes -> Document. They run in the converter's process only."""
