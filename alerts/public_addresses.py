"""Which addresses a webhook may lead to: servers on the public Internet, and nothing of ours."""

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from django.conf import settings

from alerts.reasons import Reason

LONGEST_URL = 500
# Where IPv6 leads on to some IPv4 address: nothing that a webhook needs.
_LEADS_ON = tuple(
    IPv6Network(network) for network in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)
# Of a cloud's own services, although it is no private address.
_OF_CLOUDS = (ip_network("168.63.129.16/32"),)


class CannotLeadThere(ValueError):
    """A webhook does not go to this address; the message says why, to people."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a webhook goes, taken apart. `path` with its query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        is_usual = self.port == (443 if self.scheme == "https" else 80)
        return host if is_usual else f"{host}:{self.port}"


def read(url: str) -> Target:
    """Take an address apart. Raises CannotLeadThere for what no webhook can have."""
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise CannotLeadThere(Reason.LONG_OR_ODD % {"longest": LONGEST_URL})
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise CannotLeadThere(Reason.NO_ADDRESS) from None
    if parts.scheme not in _schemes() or not parts.hostname or "%" in parts.netloc or "\\" in url:
        raise CannotLeadThere(Reason.NO_HTTPS)
    if "@" in parts.netloc:
        raise CannotLeadThere(Reason.HAS_PASSWORD)
    if parts.fragment:
        raise CannotLeadThere(Reason.HAS_FRAGMENT)
    if port == 0:
        raise CannotLeadThere(Reason.PORT_0)
    path = parts.path or "/"
    return Target(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port or (443 if parts.scheme == "https" else 80),
        path=f"{path}?{parts.query}" if parts.query else path,
    )


def resolve(target: Target) -> list[str]:
    """The addresses of a host, all of them public. Waits for name servers.

    Raises CannotLeadThere when there are none, and when any of them is not public: a name that
    has both is none that should be tried.
    """
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        found = []
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses or not all(map(is_public, addresses)):
        # The same sentence for both: which names our own network has is nobody's business.
        raise CannotLeadThere(Reason.NOT_PUBLIC % {"host": target.host})
    return addresses


def is_public(text: str) -> bool:
    """Whether an address is one of the public Internet, whichever way it is written."""
    address: IPv4Address | IPv6Address = ip_address(text)
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif any(address in network for network in _LEADS_ON):
            return False
    if address.is_loopback and settings.WEBHOOKS_MAY_STAY_HERE:
        return True
    if address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    ours = (*_OF_CLOUDS, *settings.OWN_NETWORKS)
    return address.is_global and not any(address in network for network in ours)


def _schemes() -> set[str]:
    return {"https", "http"} if settings.IS_DEVELOPMENT else {"https"}
