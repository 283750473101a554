"""Sandboxes on real sockets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stripe_sandbox.running_sandbox import Receiver, Running, receiving, running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def sandbox(tmp_path: Path, receiver: Receiver) -> Iterator[Running]:
    with running(tmp_path / "stripe.sqlite3", receiver) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """For tests that look at nothing but their own session: starting one takes a while."""
    path = tmp_path_factory.mktemp("shared") / "stripe.sqlite3"
    with receiving() as receiver, running(path, receiver) as sandbox:
        yield sandbox
