"""The commands: each parses its arguments, calls other packages and prints. A slow import stands in the command that needs it.

`common` has what they share, and `wiring` puts the services of the running bot together.
"""
