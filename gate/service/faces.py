"""What the two faces of the quota check have in common: a decision is asked for, then answered.

Between the two halves nothing but Valkey's answer is waited for. How, is left to whoever calls.
"""

from dataclasses import dataclass, field
from typing import Protocol

from gate.decision.check import Decision, Gate, PendingCheck
from gate.service.http import Headers, Problem, Request, Response
from gate.service.trust import Trust


@dataclass(slots=True)
class Asked:
    """A check that is under way; `pending` is None when the text cannot be a key.

    address, headers: where the customer asks from, and what they sent, as far as that is known.
    """

    face: "Face"
    meter: str
    pending: PendingCheck | None
    address: str = ""
    headers: Headers = field(default_factory=list)


class Face(Protocol):
    """How one kind of caller says what it wants, and is answered."""

    @property
    def method(self) -> str | None:
        """The one method that is allowed, if only one is."""

    @property
    def body_limit(self) -> int:
        """Bytes that a body may have; 0 where none is read."""

    def service_token(self, request: Request) -> str | None:
        """The service token that the caller sent; None when there is no clear one."""

    def stranger(self, token: str | None) -> Problem:
        """The refusal of a caller without a valid service token."""

    def unknown_meter(self, meter: str) -> Problem:
        """The refusal of a meter that is not in the catalogue."""

    def request_id_conflict(self) -> Problem:
        """The refusal of a request id that was used for something else."""

    def at_once(self, request: Request) -> Response | None:
        """The answer to what needs no decision; None for everything else."""

    def ask(self, gate: Gate, request: Request, trust: Trust) -> Asked:
        """Send the check that a request is about. Problem for bad input; nothing was sent then."""

    def answer(self, decision: Decision) -> Response:
        """How a decision reads. Problem for a refusal, where this face has such."""

    def refuse(self, problem: Problem) -> Response:
        """How a problem reads."""
