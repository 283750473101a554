"""Addresses and networks, as the world writes them and as the scripts compare them.

One reader for every place where an address is meant: a header of a gateway, X-Forwarded-For, the
`ip` of a check, the field of a form. It understands a port, brackets, a zone, quotes and IPv4 that
is mapped into IPv6, and says no to everything else.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from gate.terms.told import Told
from gate.terms.told import gettext_noop as _

_MAPPED = 0xFFFF << 32
_MAPPED_BITS = 96
_HIGHEST_PORT = 65_535
# Of the 32 hex digits of an address, those of what its provider gives to one customer or region:
# 24 bits of IPv4, 48 of IPv6.
_MAPPED_DIGITS, _OF_MAPPED, _OF_OTHERS = "0" * 20 + "ffff", 30, 12

# [2001:db8::1] or [2001:db8::1]:443, 192.0.2.7:443, and what has neither brackets nor a port.
_BRACKETED = re.compile(r"\[([^\[\]]*)\](?::([0-9]{1,5}))?")
_WITH_PORT = re.compile(r"([^:]+):([0-9]{1,5})")
_ZONE = re.compile(r"(.*:.*)%[A-Za-z0-9._~-]+")

Network = IPv4Network | IPv6Network


class CannotReadNetwork(Told, ValueError):
    """The text is no network that a key can be bound to; the message says why, to people."""


def read(text: str) -> IPv4Address | IPv6Address:
    """The address in a text; IPv4 that is mapped into IPv6 is IPv4. Raises ValueError.

    A port and a zone say nothing about where a request comes from, and are left out.
    """
    text = text.strip(" \t")
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    host, port, is_bracketed = text, None, False
    if bracketed := _BRACKETED.fullmatch(text):
        host, port, is_bracketed = bracketed[1], bracketed[2], True
    elif with_port := _WITH_PORT.fullmatch(text):
        host, port = with_port[1], with_port[2]
    if port is not None and int(port) > _HIGHEST_PORT:
        raise ValueError("a port is at most 65535")
    if zoned := _ZONE.fullmatch(host):
        host = zoned[1]
    if "%" in host:
        raise ValueError("only a zone of an IPv6 address follows a percent sign")
    address = ip_address(host)
    if isinstance(address, IPv4Address):
        if is_bracketed:
            raise ValueError("only IPv6 stands in brackets")
        return address
    return address.ipv4_mapped or address


def to_hex(text: str) -> str:
    """The address in a text as 32 hex digits, IPv4 mapped into IPv6. Raises ValueError."""
    return f"{_number(read(text)):032x}"


def known_to_hex(text: str | None) -> str:
    """The same of what may be no address at all: "" for that."""
    try:
        return to_hex(text or "")
    except ValueError:
        return ""


def from_hex(digits: str) -> IPv4Address | IPv6Address:
    """The address of 32 hex digits."""
    address = IPv6Address(int(digits, 16))
    return address.ipv4_mapped or address


def network_digits(digits: str) -> str:
    """The first of an address's 32 hex digits: those of the network around it."""
    return digits[: _OF_MAPPED if digits.startswith(_MAPPED_DIGITS) else _OF_OTHERS]


def network_around(address: IPv4Address | IPv6Address) -> Network:
    """The network that is one place to people: /24 of IPv4, /48 of IPv6."""
    bits = 24 if isinstance(address, IPv4Address) else 48
    return ip_network((address, bits), strict=False)


def read_network(text: str) -> str:
    """What a person wrote as an address or network, in CIDR form. Raises CannotReadNetwork."""
    text = text.strip()
    if "/" not in text:
        try:
            return str(ip_network(read(text)))
        except ValueError:
            raise _no_network(text) from None
    try:
        network = _unmapped(ip_network(text))
    except ValueError:
        raise _what_is_wrong_with(text) from None
    if not network.prefixlen:
        raise CannotReadNetwork(
            _(
                "“%(text)s” is every address. Leave the field empty for a key that works from "
                "anywhere."
            ),
            text=text,
        )
    return str(network)


def network_to_hex(text: str) -> str:
    """A network in CIDR form as "<32 hex digits>/<bits of 128>". Raises ValueError."""
    network = ip_network(text)
    bits = network.prefixlen
    if isinstance(network, IPv4Network):
        bits += _MAPPED_BITS
    return f"{_number(network.network_address):032x}/{bits}"


def _what_is_wrong_with(text: str) -> CannotReadNetwork:
    try:
        network = _unmapped(ip_network(text, strict=False))
        one = read(text.partition("/")[0])
    except ValueError:
        return _no_network(text)
    if not network.prefixlen:
        return CannotReadNetwork(
            _("“%(text)s” would be every address. Write %(one)s for this one only."),
            text=text,
            one=one,
        )
    return CannotReadNetwork(
        _(
            "“%(text)s” is an address inside a network. Write %(network)s for the whole network, "
            "or %(one)s for this address only."
        ),
        text=text,
        network=network,
        one=one,
    )


def _no_network(text: str) -> CannotReadNetwork:
    return CannotReadNetwork(
        _("“%(text)s” is no address or network. Write 192.0.2.7 or 192.0.2.0/24."), text=text
    )


def _unmapped(network: Network) -> Network:
    """A network of IPv4 that is written as IPv6, as IPv4."""
    mapped = isinstance(network, IPv6Network) and network.network_address.ipv4_mapped
    if mapped and network.prefixlen >= _MAPPED_BITS:
        return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


def _number(address: IPv4Address | IPv6Address) -> int:
    return _MAPPED | int(address) if isinstance(address, IPv4Address) else int(address)
