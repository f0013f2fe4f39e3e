"""Training of the models that the bot ships or that its operator tunes."""
