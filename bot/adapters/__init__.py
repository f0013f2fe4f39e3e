"""A package for each platform and a module for the terminal: their events become Questions, Answers become their messages.

No models; storage by its protocols.
"""
