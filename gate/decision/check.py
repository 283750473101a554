"""The quota decision as callers see it: check a key, refund a charge."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis.exceptions import RedisError

from gate.decision import receipt
from gate.decision.cold import ColdAccounts, CountUsed, LoadAccounts, LoadCatalogue
from gate.decision.cold import QuotaUnavailable as QuotaUnavailable  # noqa: PLC0414 - callers catch it
from gate.decision.receipt import Receipt
from gate.store import charges, hot_state, snapshots
from gate.store.charges import Answer, Kept
from gate.store.connection import NOT_RUN, HotClient
from gate.store.hot_state import Tokens
from gate.terms import key_text, week
from gate.terms.reasons import Outcome, Reason

logger = logging.getLogger(__name__)

# A check answers within 500 ms even when Valkey does not.
ANSWER_WITHIN_SECONDS = 0.45
# The catalogue, the account, what was used, and once more.
_LOADS_AT_MOST = 4


class CannotRefund(Exception):
    """The charge is unknown or too old; `reason` says which, as a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CannotSettle(Exception):
    """Nothing was settled; `reason` says why, as a code.

    "unknown_charge", "not_a_hold", "hold_expired", "too_much" or "settled_otherwise".
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CannotExtend(Exception):
    """The hold was not extended; `reason` says why, as a code.

    "unknown_charge", "not_a_hold" or "hold_expired", which is also told of what was settled or
    given back.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RequestIdConflict(Exception):
    """The request id was used before for something else; nothing was charged."""


class TooManyHolds(Exception):
    """The account has as many open holds as it may; nothing was charged."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """A key that an older pepper's digest was known by, and its digest under the current one.

    Both are digests as PostgreSQL keeps them (`key_text.digest`), and no secret.
    """

    key_id: int
    digest_now: str
    digest: str
    pepper_id: str


@dataclass(slots=True)
class Decision:
    """One decision.

    reason: what it means, `gate.terms.reasons` says. What comes after it is empty when the key is
    invalid.
    """

    allowed: bool
    reason: Reason
    handle: str = ""
    charge_id: str | None = None
    answer: Answer | None = None
    # Where the key is to move to the current pepper.
    renewal: Renewal | None = None

    @property
    def resets_at(self) -> datetime | None:
        """When what refuses ends by itself; otherwise when the allowance resets."""
        if self.answer is None:
            return None
        if self.answer.passes_at_ms:
            return datetime.fromtimestamp(self.answer.passes_at_ms / 1000, UTC)
        return week.ends_at(self.answer.week)

    @property
    def retry_after(self) -> int | None:
        """Seconds after which the same request may pass by itself; None where waiting is no help.

        It may then be paid from what is there at that moment, if nothing else uses it up before.
        """
        answer = self.answer
        if answer is None or not answer.passes_at_ms:
            return None
        return max(0, -(-(answer.passes_at_ms - answer.at_ms) // 1000))

    @property
    def seconds_to_reset(self) -> int:
        """Whole seconds until the allowance resets, rounded up and never negative.

        By the clock that decided, and as the first answer said when a request id comes again.
        """
        if self.answer is None:
            return 0
        return max(0, -(-(week.starts_ms(self.answer.week + 1) - self.answer.at_ms) // 1000))


@dataclass(slots=True)
class PendingCheck:
    """A check that is under way.

    note: what its charge id says of it. digests: of the key, where there are several peppers.
    """

    handle: str
    call: hot_state.Call
    meter: str
    units: int
    is_hold: bool
    reply: "asyncio.Future[Any] | None"  # Valkey's; None when no connection was open to send it
    note: str = ""
    digests: Sequence[str] = ()


_COLD, _COLD_CATALOGUE = Outcome.COLD.encode(), Outcome.COLD_CATALOGUE.encode()
_UNCOUNTED = Outcome.UNCOUNTED.encode()
_REASONS = {str(reason): reason for reason in Reason}
_SETTLE_REFUSALS: dict[str, str] = {
    Outcome.GONE: "hold_expired",
    Outcome.TOO_MUCH: "too_much",
    Outcome.CONFLICT: "settled_otherwise",
}


class Gate:
    """Decides charges on the hot state.

    load_accounts: handles -> snapshots from PostgreSQL of those that are accounts.
    load_catalogue: partition -> its state and the catalogue.
    count_used: tells Valkey what those of an account used that have a budget, and what it said.
    """

    def __init__(
        self,
        *,
        client: HotClient,
        peppers: Sequence[key_text.Pepper],
        load_accounts: LoadAccounts,
        load_catalogue: LoadCatalogue,
        count_used: CountUsed,
        answer_within: float | None = None,
    ) -> None:
        self._client = client
        self._peppers = tuple(peppers)
        self._cold = ColdAccounts(
            run=self._run,
            load_accounts=load_accounts,
            load_catalogue=load_catalogue,
            count_used=count_used,
        )
        self._answer_within = ANSWER_WITHIN_SECONDS if answer_within is None else answer_within
        self._unanswered = 0
        self._complain_at = 0.0

    async def check(
        self,
        *,
        key: str,
        meter: str = "chat",
        units: int = 1,
        request_id: str | None = None,
        address: str = "",
        hold_seconds: int = 0,
        shown_id: str = "",
        tag: str = "",
        model: str = "",
        at_ms: int | None = None,
    ) -> Decision:
        """Charge `units` of a meter to a key, or say why not; `units` 0 only looks.

        A request id that comes again within an hour gets the first answer again. With
        `hold_seconds` the charge is held: it counts until it is settled or the time is over.
        address: the customer's, as 32 hex digits (`addresses.to_hex`); a key may be bound to some.
        shown_id: the X-Request-Id of the answer, by which people find the decision again where
        there is no request id. tag: for whom, in the caller's words (see `terms.tags`). These two
        decide nothing. model: what customers call it; a key may be bound to some.
        at_ms: when it happens. Only tests tell it; without it Valkey's clock counts for everybody
        (docs/decisions/0014).
        Raises QuotaUnavailable, TooManyHolds, or RequestIdConflict when the id came with other
        content before.
        """
        pending = self.send_check(
            key=key,
            meter=meter,
            units=units,
            request_id=request_id,
            address=address,
            hold_seconds=hold_seconds,
            shown_id=shown_id,
            tag=tag,
            model=model,
            at_ms=at_ms,
        )
        return await self.await_decision(pending)

    def send_check(
        self,
        *,
        key: str,
        meter: str,
        units: int,
        request_id: str | None,
        address: str,
        hold_seconds: int,
        shown_id: str = "",
        tag: str = "",
        model: str = "",
        at_ms: int | None = None,
    ) -> PendingCheck | None:
        """Send a check to Valkey without waiting. None when the text cannot be a key.

        Several that are sent before the first reply is waited for leave in one round trip.
        """
        try:
            handle = key_text.handle_of(key)
        except key_text.MalformedKey:
            return None
        is_hold = hold_seconds > 0 and units > 0
        digests = key_text.digests(key, self._peppers)
        call = charges.check_call(
            handle=handle,
            digests=snapshots.hot_digests(digests),
            meter=meter,
            units=units,
            request_id=request_id,
            address=address,
            hold_id=key_text.new_hold_id() if is_hold else "",
            hold_ms=hold_seconds * 1000 if is_hold else 0,
            shown_id=shown_id,
            tag=tag,
            model=model,
            at_ms=at_ms,
        )
        pending = PendingCheck(handle, call, meter, units, is_hold, self._client.send(call))
        if is_hold or tag:
            pending.note = charges.note_of(call)
        if len(digests) > 1:
            pending.digests = digests
        return pending

    async def await_decision(self, pending: PendingCheck | None) -> Decision:
        """The decision on a check that was sent, once all that it takes was waited for.

        That is Valkey's reply, and PostgreSQL's where the account is cold. Raises what `check`
        raises.
        """
        if pending is None:
            return Decision(allowed=False, reason=Reason.INVALID_KEY)
        reply = await self._run_warm(pending.handle, pending.call, reply=pending.reply)
        if reply is None:
            return Decision(allowed=False, reason=Reason.INVALID_KEY)
        return self._decision(pending, reply)

    def decision_by_reply(self, pending: PendingCheck) -> Decision | None:
        """The decision as far as Valkey's reply gives it, without waiting.

        None where that is not there or not enough: `await_decision` sees to it. Raises what `check`
        raises.
        """
        if pending.reply is None or not pending.reply.done():
            return None
        try:
            reply = pending.reply.result()
        except NOT_RUN:
            return None
        except (RedisError, OSError) as error:
            self._complain(error)
            raise QuotaUnavailable from None
        if reply[0] in {_COLD, _COLD_CATALOGUE, _UNCOUNTED}:
            return None
        return self._decision(pending, reply)

    def _decision(self, pending: PendingCheck, reply: list[bytes]) -> Decision:
        answer = charges.read_answer(reply)
        handle = pending.handle
        if answer.status == "ok":
            charge_id = self._charge_id(pending, answer) if pending.units else None
            return Decision(
                allowed=True,
                reason=Reason.OK,
                handle=handle,
                charge_id=charge_id,
                answer=answer,
                renewal=self._renewal(pending, answer) if answer.matched else None,
            )
        if answer.status == Outcome.CONFLICT:
            raise RequestIdConflict
        if answer.status == Outcome.TOO_MANY_HOLDS:
            raise TooManyHolds
        reason = _REASONS.get(answer.status)
        if reason is None:
            # Never a free pass, and never in silence.
            logger.error(
                "a decision says %r, which gate.terms.reasons does not know", answer.status
            )
            raise QuotaUnavailable
        if reason is Reason.INVALID_KEY:
            return Decision(allowed=False, reason=reason)
        if reason is Reason.UNKNOWN_METER:
            return Decision(allowed=False, reason=reason, handle=handle)
        return Decision(
            allowed=False,
            reason=reason,
            handle=handle,
            answer=answer,
            renewal=self._renewal(pending, answer) if answer.matched else None,
        )

    def _renewal(self, pending: PendingCheck, answer: Answer) -> Renewal | None:
        # What a request id was answered before may come from a process with more peppers.
        if answer.matched >= len(pending.digests):
            return None
        return Renewal(
            answer.key_id,
            digest_now=pending.digests[answer.matched],
            digest=pending.digests[0],
            pepper_id=self._peppers[0].pepper_id,
        )

    def _charge_id(self, pending: PendingCheck, answer: Answer) -> str:
        note = answer.note or pending.note
        if note and not pending.is_hold:
            # For its refund; a hold is settled with all of it.
            note = charges.tag_of(note)
        return receipt.to_charge_id(
            Receipt(
                handle=pending.handle,
                charge_ref=answer.entry_id,
                is_hold=pending.is_hold,
                at_ms=answer.at_ms,
                week=answer.week,
                key_id=answer.key_id,
                key_digest=answer.key_digest,
                meter=pending.meter,
                allowance=answer.allowance_taken,
                boosts=answer.boosts_taken,
                credits=answer.credits_taken,
                credit_chats=answer.credits_taken // answer.credits_per_chat,
                note=note,
            ),
            self._peppers[0],
        )

    async def refund(self, *, charge_id: str, at_ms: int | None = None) -> Kept:
        """Give a charge back, once. Status "ok", or "already" when it was given back before.

        What is answered is what came back: allowance chats of a week that has ended are gone.
        Raises CannotRefund ("unknown_charge", "too_late") or QuotaUnavailable.
        """
        try:
            paid = receipt.from_charge_id(charge_id, self._peppers)
        except receipt.UnknownCharge as error:
            raise CannotRefund("unknown_charge") from error
        call = charges.refund_call(
            handle=paid.handle,
            charge_ref=paid.charge_ref,
            is_hold=paid.is_hold,
            key_id=paid.key_id,
            key_digest=paid.key_digest,
            meter=paid.meter,
            at_ms=paid.at_ms,
            charge_week=paid.week,
            allowance=paid.allowance,
            boosts=paid.boosts,
            credits=paid.credits,
            credit_chats=paid.credit_chats,
            note=charges.tag_of(paid.note),
            now_ms=at_ms,
        )
        reply = await self._run_warm(paid.handle, call)
        if reply is None:
            raise CannotRefund("unknown_charge")
        given_back = charges.read_kept(reply)
        if given_back.status == Outcome.TOO_LATE:
            raise CannotRefund("too_late")
        return given_back

    async def extend(self, *, charge_id: str, hold_seconds: int, at_ms: int | None = None) -> None:
        """Let a hold run for so many seconds from now; it never ends earlier than before.

        Raises CannotExtend or QuotaUnavailable.
        """
        held = self._held(charge_id, CannotExtend)
        call = charges.extend_call(
            handle=held.handle,
            hold_id=held.charge_ref,
            hold_ms=hold_seconds * 1000,
            now_ms=at_ms,
        )
        reply = await self._run_warm(held.handle, call)
        if reply is None:
            raise CannotExtend("unknown_charge")
        if charges.read_kept(reply).status == Outcome.GONE:
            raise CannotExtend("hold_expired")

    async def settle(
        self,
        *,
        charge_id: str,
        units: int,
        tokens: Tokens | None = None,
        at_ms: int | None = None,
    ) -> Kept:
        """Keep `units` of a hold and give the rest back. Repeating it answers the same.

        tokens: what the answer took of a model, if it is known; of a repetition they are not read.
        Status "ok", or "already" when it was settled like this before.
        Raises CannotSettle or QuotaUnavailable.
        """
        held = self._held(charge_id, CannotSettle)
        call = charges.settle_call(
            handle=held.handle,
            hold_id=held.charge_ref,
            units=units,
            tokens=tokens,
            note=held.note,
            now_ms=at_ms,
        )
        reply = await self._run_warm(held.handle, call)
        if reply is None:
            raise CannotSettle("unknown_charge")
        kept = charges.read_kept(reply)
        if kept.status in _SETTLE_REFUSALS:
            raise CannotSettle(_SETTLE_REFUSALS[kept.status])
        return kept

    def _held(self, charge_id: str, refusal: type[CannotExtend] | type[CannotSettle]) -> Receipt:
        """What a charge id says of a hold; the refusal where it is none."""
        try:
            held = receipt.from_charge_id(charge_id, self._peppers)
        except receipt.UnknownCharge as error:
            raise refusal("unknown_charge") from error
        if not held.is_hold:
            raise refusal("not_a_hold")
        return held

    async def _run_warm(
        self,
        handle: str,
        call: hot_state.Call,
        *,
        reply: "asyncio.Future[Any] | None" = None,
    ) -> list[bytes] | None:
        """Run a call, loading the account first if it is cold; None when there is no account."""
        for _ in range(_LOADS_AT_MOST):
            said: list[bytes] = await self._run(call, reply=reply)
            reply = None
            if said[0] == _COLD_CATALOGUE:
                await self._cold.catalogue(hot_state.partition_of(handle))
            elif said[0] == _COLD:
                if not await self._cold.account(handle):
                    return None
            elif said[0] == _UNCOUNTED:
                await self._cold.used(handle)
            else:
                return said
        logger.error("account %s stays cold after so many loads", handle)
        raise QuotaUnavailable

    async def _run(
        self, call: hot_state.Call, *, reply: "asyncio.Future[Any] | None" = None
    ) -> Any:
        try:
            if reply is not None:
                try:
                    # The connection itself bounds how long this takes.
                    return await reply
                except NOT_RUN:
                    pass
            async with asyncio.timeout(self._answer_within):
                return await self._client.run(call)
        except (RedisError, OSError, TimeoutError) as error:
            self._complain(error)
            raise QuotaUnavailable from None

    def _complain(self, error: Exception) -> None:
        """Log that Valkey gave no answer, at most once a second: many callers may wait at once."""
        self._unanswered += 1
        now = time.monotonic()
        if now >= self._complain_at:
            # The arguments hold digests, so only the kind of failure is logged.
            logger.warning(
                "valkey gave no answer to %s calls: %s", self._unanswered, type(error).__name__
            )
            self._unanswered = 0
            self._complain_at = now + 1.0
