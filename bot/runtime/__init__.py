"""Runs the bot: wires the parts together, supervises them, and checks the installation and the machine."""
