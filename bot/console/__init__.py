"""The operators' console: pages in a browser, on which one sees what was asked, and mends what went wrong."""
