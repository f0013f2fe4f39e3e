"""Questions whose right answers are known -> figures, and a report of where the bot goes wrong."""
