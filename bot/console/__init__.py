"""The operators' console: pages for a browser: they show the questions with their answers, and change documents and entries."""
