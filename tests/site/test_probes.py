"""/healthz says that the process answers, /readyz that it can work."""

import socket
import time
from collections.abc import Iterator

import pytest
from django.db import connections
from django.test import Client
from pytest_django import Settings

from config import signs_of_life

UNREACHABLE = "unix:///nonexistent/valkey.sock"


@pytest.fixture(autouse=True)
def _alive() -> None:
    """Beat and worker have just given a sign."""
    for name in signs_of_life.expected():
        signs_of_life.give(name)


@pytest.fixture
def hung() -> Iterator[str]:
    """The address of a Valkey that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def test_a_process_that_answers_is_alive(client: Client) -> None:
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert "no-store" in response["Cache-Control"]


def test_it_is_ready_when_both_servers_answer(client: Client, plans: None) -> None:
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"status": "ok", "problems": []})
    assert "no-store" in response["Cache-Control"]


def test_without_valkey_it_is_not_ready_and_names_it(
    client: Client, plans: None, settings: Settings
) -> None:
    settings.REDIS_URL = UNREACHABLE
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "problems": ["valkey"]}
    assert client.get("/healthz").status_code == 200


@pytest.mark.alone
def test_a_valkey_that_hangs_is_named_within_a_second(
    client: Client, plans: None, settings: Settings, hung: str
) -> None:
    settings.REDIS_URL = hung
    began = time.monotonic()
    response = client.get("/readyz")
    assert response.json()["problems"] == ["valkey"]
    assert time.monotonic() - began < 3  # a second, and a machine three times slower


@pytest.mark.django_db(transaction=True)
def test_without_postgres_it_is_not_ready_and_names_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = connections["default"]
    database.close()
    # A server that nobody runs, asked without a pool that would keep trying.
    monkeypatch.setitem(database.settings_dict, "HOST", "/nonexistent")
    monkeypatch.setitem(database.settings_dict, "OPTIONS", {})
    try:
        response = client.get("/readyz")
    finally:
        database.close()
    assert response.status_code == 503
    assert response.json()["problems"] == ["database"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_may_ask_for_headers_only(client: Client, plans: None, path: str) -> None:
    response = client.head(path)
    assert response.status_code == 200
    assert response.content == b""
