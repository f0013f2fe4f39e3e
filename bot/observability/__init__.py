"""Logs, metrics, health and redaction, for the operators of a running bot."""
