"""What the bench says of checks beside pages: compared within a round, and the worst counts."""

import math
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmark import beside
from benchmark.beside import ALONE, BROWSERS, BUSY, LARGE, QUIET, STEADY, Beside
from benchmark.generator import Generator
from benchmark.pages import FRONT, PAGES
from benchmark.sample import Sample
from benchmark.subjects import Subject
from benchmark.target import Target


def runs(*p99: float) -> list[Beside]:
    return [Beside(p50_ms=1.0, p99_ms=one, failures=0) for one in p99]


def test_the_worst_round_is_held_against_the_aim() -> None:
    found = {
        ALONE: runs(10, 20, 40),
        QUIET: runs(10, 10, 40),
        # The last is the largest, and not the worst of its round.
        STEADY: runs(20, 80, 100),
        BUSY: runs(30, 60, 120),
        LARGE: runs(10, 50, 40),
    }
    assert beside.times(found, STEADY, ALONE) == [2, 4, 2.5]
    steady, busy, large, drained = beside.aims_of(found)
    assert (steady.found, steady.is_met) == (4, False)
    assert (busy.found, busy.is_met) == (3, True)
    assert (large.found, large.is_met) == (2.5, True)
    assert (drained.found, drained.is_met) == (1, True)


def test_a_round_in_which_nobody_was_answered_meets_no_aim() -> None:
    nobody = [Beside(p50_ms=0.0, p99_ms=0.0, failures=6_000)]
    found = {ALONE: runs(10), QUIET: nobody, STEADY: runs(10), BUSY: nobody, LARGE: runs(10)}
    steady, busy, _, drained = beside.aims_of(found)
    assert steady.is_met
    assert (busy.found, busy.is_met) == (math.inf, False)
    assert (drained.found, drained.is_met) == (math.inf, False)
    assert busy.as_json()["found"] is None


def test_a_round_with_a_page_that_failed_meets_no_aim() -> None:
    failing = [Beside(p50_ms=1.0, p99_ms=10.0, failures=1)]
    assert beside.times({ALONE: runs(10), BUSY: failing}, BUSY, ALONE) == [math.inf]


class _Refusing(BaseHTTPRequestHandler):
    """Answers every page with 503."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_every_browser_that_is_refused_a_page_is_counted() -> None:
    refused: dict[str, int] = {}

    def counted(page: Subject, sample: Sample) -> Sample:
        refused[page.name] = sample.failures
        return sample

    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server, Generator() as generator:
        threading.Thread(target=server.serve_forever).start()
        target = Target({FRONT: server.server_port}, "", (), "", (), session="sessionid=a")
        beside.measure_pages(target, generator, rounds=1, seconds=0.1, counted=counted)
        server.shutdown()

    # Each once in the warm-up, and once when it is measured.
    assert refused == {page.name: 2 * BROWSERS for page in PAGES}
