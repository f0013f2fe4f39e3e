"""Sources beyond the knowledge folder: websites and git repositories, fetched into folders that are indexed beside it."""
