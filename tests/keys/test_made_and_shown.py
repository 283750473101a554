"""A secret that is shown once is made and shown, or not made."""

import os
import sys
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import IO

import pytest
from django.core.management import CommandError, call_command
from django.template import TemplateDoesNotExist
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from keys.models import ApiKey, ServiceToken
from tests.keys.acts import TOKEN, submit_key


def full_disk() -> IO[str]:
    return Path("/dev/full").open("w")


def gone_reader() -> IO[str]:
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "w")


def closed() -> IO[str]:
    with Path(os.devnull).open("w") as file:
        return file


@pytest.fixture(params=[full_disk, gone_reader, closed])
def terminal(request: pytest.FixtureRequest) -> Iterator[IO[str]]:
    """Where nothing can be printed."""
    if request.param is full_disk and sys.platform != "linux":
        pytest.skip("only Linux has /dev/full")
    stream: IO[str] = request.param()
    yield stream
    if not stream.closed:
        # What it still holds cannot be written either.
        assert isinstance(stream, TextIOWrapper)
        with pytest.raises(OSError, match=r"."):
            stream.close()


def test_a_token_that_cannot_be_printed_is_not_made(db: None, terminal: IO[str]) -> None:
    with pytest.raises(CommandError, match="could not be printed"):
        call_command("issue_service_token", "gateway", stdout=terminal)
    assert not ServiceToken.objects.exists()


def test_the_name_is_free_for_the_next_try(
    db: None, terminal: IO[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError):
        call_command("issue_service_token", "gateway", stdout=terminal)
    call_command("issue_service_token", "gateway")
    assert TOKEN.fullmatch(capsys.readouterr().out.strip())
    assert ServiceToken.objects.get().name == "gateway"


@pytest.fixture
def no_page(settings: Settings, tmp_path: Path) -> None:
    """The pages that show a secret are missing, as after a deployment that went wrong."""
    kept = settings.TEMPLATES[0]
    away = tmp_path / "templates"
    for path in Path(kept["DIRS"][0]).rglob("*.*"):
        if path.name != "created.html":
            copy = away / path.relative_to(kept["DIRS"][0])
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    settings.TEMPLATES = [{**kept, "DIRS": [away]}]


@pytest.mark.usefixtures("no_page")
@pytest.mark.django_db(transaction=True)
def test_a_key_whose_page_cannot_be_made_is_not_made(owner_client: Client) -> None:
    with pytest.raises(TemplateDoesNotExist):
        submit_key(owner_client)
    assert not ApiKey.objects.exists()


@pytest.mark.usefixtures("no_page")
@pytest.mark.django_db(transaction=True)
def test_nor_a_token_of_the_admin(admin_client: Client) -> None:
    with pytest.raises(TemplateDoesNotExist):
        admin_client.post(reverse("admin:keys_servicetoken_add"), {"name": "gateway"})
    assert not ServiceToken.objects.exists()


def test_a_key_whose_page_got_lost_on_the_way_can_be_told_and_taken_back(
    owner_client: Client,
) -> None:
    """HTTP cannot say whether an answer arrived; what was sent again says so and offers a way."""
    submission = "0b0b0b0b-0b0b-4b0b-8b0b-0b0b0b0b0b0b"
    submit_key(owner_client, submission=submission)
    page = submit_key(owner_client, submission=submission).content.decode()
    key = ApiKey.objects.get()
    assert "it cannot be shown again" in page
    assert reverse("key_revoke", args=[key.pk]) in page
    assert "Never" in owner_client.get(reverse("keys")).content.decode()
