"""The network addresses of clients, by which limits count."""

from ipaddress import IPv6Address, ip_address, ip_network

from fastapi import Request

# The part of an IPv6 address that identifies a subscriber; the subscriber chooses the rest at will.
_SUBSCRIBER_BITS = 64


def network_of(request: Request) -> str:
    """Return the sender's address, or for IPv6 the network of the subscriber; empty for a Unix socket.

    The last address in X-Forwarded-For is used if a proxy on this machine sends it.
    """
    peer = request.client.host if request.client else ""
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return _network(forwarded if forwarded and is_this_machine(peer) else peer)


def is_this_machine(host: str) -> bool:
    """Return whether a host is named by an address that leads back to this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _network(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    return str(address.ipv4_mapped or ip_network((address, _SUBSCRIBER_BITS), strict=False))
