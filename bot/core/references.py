"""References: the short ids by which people and operators speak of one answer or one failure."""

import secrets


def new_reference() -> str:
    """Return a short random id that is easy to read out. It stands in the answer and in the log line."""
    return secrets.token_hex(4)
