"""Evaluate the bot on questions with known answers: figures, a report of its mistakes, and a calibration."""
