"""How keys read and what is stored of them."""

import hmac

import pytest

from gate.terms import key_text
from gate.terms.key_text import Pepper

PEPPER = Pepper(pepper_id="1", secret=b"a" * 32)


def test_a_key_names_its_account() -> None:
    assert key_text.handle_of(key_text.new_api_key("AbCd1234")) == "AbCd1234"


def test_a_key_reads_prefix_handle_secret_checksum() -> None:
    key = key_text.new_api_key("AbCd1234")
    assert key.startswith("sk_AbCd1234")
    assert len(key) == 3 + 8 + 32 + 6


def test_two_keys_are_never_alike() -> None:
    assert len({key_text.new_api_key("AbCd1234") for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize("position", range(3, 49))
def test_any_mistyped_character_is_noticed(position: int) -> None:
    key = key_text.new_api_key("AbCd1234")
    other = "x" if key[position] != "x" else "y"
    with pytest.raises(key_text.MalformedKey):
        key_text.handle_of(key[:position] + other + key[position + 1 :])


@pytest.mark.parametrize(
    "text", ["", "sk_", "sk_" + "é" * 46, "svc_" + "a" * 45, "sk_" + "a" * 46, "a" * 100_000]
)
def test_what_is_not_a_key_is_refused(text: str) -> None:
    with pytest.raises(key_text.MalformedKey):
        key_text.handle_of(text)


def test_a_digest_depends_on_the_pepper() -> None:
    other = Pepper(pepper_id="2", secret=b"b" * 32)
    assert key_text.digest("sk_x", PEPPER) != key_text.digest("sk_x", other)
    assert key_text.digests("sk_x", [PEPPER, other])[0] == key_text.digest("sk_x", PEPPER)


@pytest.mark.parametrize("secret_length", [1, 32, 63, 64, 65, 200])
@pytest.mark.parametrize("message_length", [0, 49, 1_000])
def test_the_mac_is_hmac_sha_256(secret_length: int, message_length: int) -> None:
    secret, message = bytes(range(secret_length)), b"m" * message_length
    expected = hmac.digest(secret, message, "sha256")
    assert Pepper(pepper_id="1", secret=secret).mac(message) == expected


def test_a_pepper_does_not_show_itself() -> None:
    assert "aaaa" not in repr(PEPPER)


def test_a_service_token_is_no_api_key() -> None:
    token = key_text.new_service_token()
    key_text.verify_service_token(token)
    with pytest.raises(key_text.MalformedKey):
        key_text.handle_of(token)
    with pytest.raises(key_text.MalformedKey):
        key_text.verify_service_token(key_text.new_api_key("AbCd1234"))
