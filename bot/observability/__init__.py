"""Logs, metrics, health and redaction: what operators see of a running bot."""
