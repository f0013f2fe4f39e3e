"""The certificates by which servers on the internet are recognised."""

import ssl
from functools import cache


@cache
def trusted_certificates() -> ssl.SSLContext:
    """Return the context for clients of httpx. Reading it takes tens of milliseconds of computing, so it is shared."""
    import httpx

    return httpx.create_ssl_context()
