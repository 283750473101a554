"""A key in the wrong place of a request to a page reaches no log."""

import pytest
from django.test import Client

from gate.terms import key_text

HANDLE = "AbCd1234"
# The same in every process that runs tests.
KEY = key_text._with_checksum(f"sk_{HANDLE}" + "Zx9" * 10 + "Zx")


def test_a_key_in_a_path_reaches_no_log(
    db: None, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.get(f"/{KEY}/", headers={"user-agent": KEY, "x-request-id": KEY})
    assert f"Not Found: /sk_{HANDLE}…{KEY[-4:]}/" in caplog.text
    assert KEY[12:] not in caplog.text
