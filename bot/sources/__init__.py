"""Sources beyond the knowledge folder: websites, git repositories and exports, each fetched into an indexed folder."""
