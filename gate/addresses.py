"""Addresses and networks in the one form that the scripts compare: 128 bits as hex digits."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_MAPPED = 0xFFFF << 32
_MAPPED_BITS = 96


def to_hex(text: str) -> str:
    """An IPv4 or IPv6 address as 32 hex digits, IPv4 mapped into IPv6. Raises ValueError."""
    return f"{_number(ip_address(text)):032x}"


def known_to_hex(text: str | None) -> str:
    """The same of what may be no address at all: "" for that."""
    try:
        return to_hex(text or "")
    except ValueError:
        return ""


def network_to_hex(text: str) -> str:
    """A network in CIDR form as "<32 hex digits>/<bits of 128>". Raises ValueError."""
    network = ip_network(text)
    bits = network.prefixlen
    if isinstance(network.network_address, IPv4Address):
        bits += _MAPPED_BITS
    return f"{_number(network.network_address):032x}/{bits}"


def _number(address: IPv4Address | IPv6Address) -> int:
    return _MAPPED | int(address) if isinstance(address, IPv4Address) else int(address)
