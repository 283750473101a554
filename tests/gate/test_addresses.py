"""Addresses as the world writes them: one reader, wherever an address is meant."""

import pytest

from gate.terms import addresses
from tests.gate.quota_service import QuotaService, assert_problem

V4 = "0" * 20 + "ffffc0000207"
V6 = "20010db8" + "0" * 23 + "1"
LINK_LOCAL = "fe80" + "0" * 27 + "1"

ADDRESSES = [
    ("192.0.2.7", V4),
    (" 192.0.2.7\t", V4),
    ("192.0.2.7:1234", V4),
    ("192.0.2.7:0", V4),
    ("192.0.2.7:65535", V4),
    ("::ffff:192.0.2.7", V4),
    ("::FFFF:c000:207", V4),
    ("[::ffff:192.0.2.7]:443", V4),
    ('"192.0.2.7"', V4),
    ('"192.0.2.7:80"', V4),
    ("2001:db8::1", V6),
    ("2001:0DB8:0:0:0:0:0:1", V6),
    ("[2001:db8::1]", V6),
    ("[2001:db8::1]:443", V6),
    ('"[2001:db8::1]:443"', V6),
    ("fe80::1%eth0", LINK_LOCAL),
    ("[fe80::1%eth0]:443", LINK_LOCAL),
    ("fe80::1%25en1", LINK_LOCAL),
]
NO_ADDRESSES = [
    "",
    " ",
    '""',
    '"',
    "1",
    "127.1",
    "0x7f000001",
    "0177.0.0.1",
    "192.0.2.07",
    "300.1.1.1",
    "192.0.2",
    "192.0.2.7.",
    "192.0.2.7/32",
    "192.0.2.7 192.0.2.8",
    "192.0.2.7, 192.0.2.8",
    "192.0.2.7:",
    "192.0.2.7:65536",
    "192.0.2.7:99999999",
    "192.0.2.7:-1",
    "192.0.2.7:http",
    "192.0.2.7%eth0",
    "[192.0.2.7]",
    "[192.0.2.7]:80",
    "[2001:db8::1",
    "2001:db8::1]",
    "[[2001:db8::1]]",
    "[2001:db8::1]443",
    "[2001:db8::1]:",
    "[2001:db8::1]:65536",
    "[]",
    "[]:80",
    "2001:db8::1%",
    "2001:db8::1%et%h0",
    "%eth0",
    "1:2",
    ":::",
    "::g",
    "localhost",
    "localhost:80",
    "unknown",
    "_hidden",
    "١٩٢.0.2.7",
    "192.0.2.7:٨٠",
    "192.0.2.7\n",
    "\x00",
]


@pytest.mark.parametrize(("text", "digits"), ADDRESSES)
def test_an_address_is_read_however_it_is_written(text: str, digits: str) -> None:
    assert addresses.to_hex(text) == digits
    assert addresses.known_to_hex(text) == digits


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        addresses.to_hex(text)
    assert addresses.known_to_hex(text) == ""


@pytest.mark.parametrize(("text", "digits"), ADDRESSES)
def test_a_check_takes_an_address_however_it_is_written(
    service: QuotaService, text: str, digits: str
) -> None:
    one = (f"{digits}/128",)
    service.world.grant(keys=(service.world.key_state(version=2, addresses=one),))
    assert service.check(ip=text).json()["allowed"]


@pytest.mark.parametrize("text", [text for text in NO_ADDRESSES if text])
def test_a_check_with_no_address_names_the_member(service: QuotaService, text: str) -> None:
    assert_problem(service.check(ip=text), 400, "invalid_request", "ip")
    assert service.remaining["allowance"] == 50


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.7:443", "192.0.2.7/32"),
        ("[2001:db8::7]:443", "2001:db8::7/128"),
        ("fe80::1%eth0", "fe80::1/128"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::fffe:0:0/95", "::fffe:0:0/95"),
        ("192.0.2.0/255.255.255.0", "192.0.2.0/24"),
        ("2001:DB8::/32", "2001:db8::/32"),
    ],
)
def test_a_network_is_read_however_it_is_written(text: str, network: str) -> None:
    assert addresses.read_network(text) == network
    addresses.network_to_hex(network)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("192.0.2.7/24", "Write 192.0.2.0/24 for the whole network, or 192.0.2.7 for this"),
        ("2001:db8::1/32", "Write 2001:db8::/32 for the whole network, or 2001:db8::1 for"),
        ("::ffff:192.0.2.7/120", "Write 192.0.2.0/24 for the whole network, or 192.0.2.7 for"),
        ("0.0.0.0/0", "is every address. Leave the field empty"),
        ("::/0", "is every address. Leave the field empty"),
        ("::ffff:0:0/96", "is every address. Leave the field empty"),
        ("192.0.2.7/0", "would be every address. Write 192.0.2.7 for this one only."),
        ("192.0.2.0/33", "is no address or network"),
        ("192.0.2.0/", "is no address or network"),
        ("192.0.2.0/-1", "is no address or network"),
        ("192.0.2.0/24/8", "is no address or network"),
        ("192.0.2.0:80/24", "is no address or network"),
        ("127.1", "is no address or network"),
        ("example.com", "is no address or network"),
    ],
)
def test_what_is_no_network_says_what_to_write(text: str, message: str) -> None:
    with pytest.raises(addresses.CannotReadNetwork) as error:
        addresses.read_network(text)
    assert message in str(error.value)
    assert f"“{text}”" in str(error.value)
