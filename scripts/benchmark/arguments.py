"""What scripts/bench was asked for."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from benchmark.chats import CHATS
from benchmark.subjects import CHECK, SUBJECTS, Subject


@dataclass(frozen=True, slots=True)
class Asked:
    """What to measure and how long."""

    subjects: tuple[Subject, ...]
    connections: tuple[int, ...]
    rounds: int
    seconds: float
    json: Path | None
    only_list: bool
    backlog: int  # charges that the drain is measured with; 0 leaves it out
    growth: bool
    clients: bool
    beside: int  # rounds of checks beside pages; 0 leaves them out
    only_beside: bool
    only_chat: bool
    only_bought: bool


def read_arguments() -> Asked:
    """The arguments of this process; ends it with a sentence when they make no sense."""
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--quick", action="store_true", help="short, and only a hint")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--list", action="store_true", help="what can be measured")
    parser.add_argument("--subjects", type=_subjects, default=SUBJECTS, metavar="NAME,…")
    parser.add_argument("--connections", type=_numbers, metavar="N,…")
    parser.add_argument("--backlog", type=int, metavar="N", help="for the drain; 0 leaves it out")
    parser.add_argument("--growth", action="store_true", help="a million accounts, too")
    parser.add_argument("--clients", action="store_true", help="connections to Valkey instead")
    parser.add_argument("--beside", action="store_true", help="checks beside pages instead")
    parser.add_argument("--chat", action="store_true", help="chats beside the model instead")
    parser.add_argument("--bought", action="store_true", help="from a payment to a chat, instead")
    parser.add_argument("--rounds", type=int, choices=range(1, 100), metavar="N")
    parser.add_argument("--seconds", type=float, help="of each measurement, 0.1 to 60")
    given = parser.parse_args()
    rounds = given.rounds or (1 if given.quick else 5)
    seconds = given.seconds or (0.3 if given.quick else 1.5)
    backlog = _backlog(given)
    if not 0 <= backlog <= 1_000_000:
        parser.error("--backlog must be from 0 to 1000000")
    if not 0.1 <= seconds <= 60:
        parser.error("--seconds must be from 0.1 to 60")
    return Asked(
        subjects=_asked_for(given),
        connections=given.connections or ((1, 8, 32) if given.chat else (1, 32, 256)),
        rounds=rounds,
        seconds=seconds,
        json=given.json,
        only_list=given.list,
        backlog=backlog,
        growth=given.growth,
        clients=given.clients,
        beside=_rounds_beside(given),
        only_beside=given.beside,
        only_chat=given.chat,
        only_bought=given.bought,
    )


def _asked_for(given: argparse.Namespace) -> tuple[Subject, ...]:
    # Servers that nobody asks would only be neighbours.
    if given.beside:
        return (CHECK,)
    subjects: tuple[Subject, ...] = CHATS if given.chat else given.subjects
    return subjects


def _backlog(given: argparse.Namespace) -> int:
    if given.backlog is not None:
        return int(given.backlog)
    if given.chat:
        return 0
    return 20_000 if given.quick else 200_000


def _rounds_beside(given: argparse.Namespace) -> int:
    """Ten of them, unless somebody wants it short or asked for something else."""
    if given.beside:
        return int(given.rounds or (2 if given.quick else 10))
    is_whole = given.subjects is SUBJECTS and not given.chat
    return 10 if is_whole and given.rounds is None and not given.quick else 0


def _subjects(text: str) -> tuple[Subject, ...]:
    known = {subject.name: subject for subject in SUBJECTS}
    names = list(dict.fromkeys(text.split(",")))
    if unknown := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; see --list")
    return tuple(known[name] for name in names)


def _numbers(text: str) -> tuple[int, ...]:
    words = list(dict.fromkeys(text.split(",")))
    if not all(word.isdecimal() and 1 <= int(word) <= 4096 for word in words):
        raise argparse.ArgumentTypeError("numbers from 1 to 4096, with commas")
    return tuple(int(word) for word in words)
