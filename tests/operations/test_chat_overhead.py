"""What scripts/bench --chat says: each answer is whole or failed, and is compared in its round."""

import asyncio
import sys
from array import array
from collections.abc import Callable
from functools import partial

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from benchmark import model, overhead
from benchmark.arguments import read_arguments
from benchmark.chats import CHATS, ITSELF, MODEL
from benchmark.model import END, LAST_PIECE
from benchmark.sample import Sample
from benchmark.subjects import Subject
from benchmark.target import GATE, Target
from gate.service.guarded import GuardedProtocol

CONNECTIONS = 2
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
WHOLE = b"19\r\n" + LAST_PIECE + b" " + END + b"\r\n0\r\n\r\n"


def test_a_chat_is_compared_with_the_model_in_the_same_round() -> None:
    (found,) = overhead.summarise(
        {
            # The machine is not the same in each round.
            ("model", 8): [_sample(1, 1), _sample(2, 2), _sample(4, 4)],
            ("chat", 8): [_sample(7), _sample(5), _sample(20)],
            # There is nothing to compare these with.
            ("chat", 1): [_sample(5), _sample(6), _sample(20)],
        }
    )
    assert (found.subject, found.connections) == ("chat", 8)
    assert found.more_ms == pytest.approx(6)
    assert [found.times_p50, found.times_p99] == pytest.approx([5, 5])
    assert found.rate_part == 0.5


def _sample(*milliseconds: float) -> Sample:
    return Sample(
        seconds=1.0,
        answers=len(milliseconds),
        asked=len(milliseconds),
        charges=0,
        failures=0,
        first_failure="",
        latencies=array("d", [one / 1000 for one in milliseconds]),
    )


async def test_the_model_of_the_bench_answers_every_question_whole() -> None:
    config = Config(model.application, ws="none", lifespan="off")
    config.load()
    sample = await _measure(
        ITSELF, lambda: GuardedProtocol(config=config, server_state=ServerState(), app_state={})
    )
    assert sample.failures == 0
    assert sample.charges == sample.asked > CONNECTIONS


@pytest.mark.parametrize("subject", CHATS, ids=lambda subject: subject.name)
async def test_a_chat_that_has_no_end_is_a_failure(subject: Subject) -> None:
    without_end = WHOLE.replace(LAST_PIECE, b"another-word").replace(END, b"data: [MORE]")
    assert len(without_end) == len(WHOLE)
    whole = await _measure(subject, partial(_Answering, WHOLE))
    assert (whole.failures, whole.charges == whole.asked) == (0, True)
    for broken in (without_end, WHOLE[:-5], WHOLE[:10], b""):
        sample = await _measure(subject, partial(_Answering, broken))
        # Each once in the warm-up, and once when it is measured.
        assert (sample.failures, sample.charges) == (2 * CONNECTIONS, 0)


class _Answering(asyncio.Protocol):
    """Answers a question with these bytes; hangs up where they are not all."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, _: bytes) -> None:
        self._transport.write(HEAD + self._body)
        if not self._body.endswith(b"0\r\n\r\n"):
            self._transport.close()


async def _measure(subject: Subject, protocol: Callable[[], asyncio.Protocol]) -> Sample:
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    target = Target({GATE: port, MODEL: port}, "", ("sk_a",), "", ())
    try:
        return await subject.measure(target, CONNECTIONS, 0.05)
    finally:
        server.close()


def test_chats_are_measured_instead_of_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["scripts/bench", "--chat"])
    asked = read_arguments()
    assert (asked.subjects, asked.connections) == (CHATS, (1, 8, 32))
    others = (asked.backlog, asked.beside, asked.growth, asked.clients, asked.only_beside)
    assert not any(others)
