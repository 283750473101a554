"""A call that was packed in part before goes to Valkey as one that is packed anew."""

from typing import Any

import hiredis
import pytest

from gate.store import charges, layout
from gate.store.hot_state import Call

_CHECKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "of a key under two peppers": {"digests": ["u" * 22, "v" * 22]},
    "of the account alone": {"digests": [], "units": 0},
    "with a request id": {"request_id": "one"},
    "with a request id that no name may hold": {"request_id": "sk_" + "a" * 46},
    "held": {"hold_id": "hold", "hold_ms": 60_000, "request_id": "one"},
    "from an address": {"address": "0" * 32},
    "of a meter beyond ASCII": {"meter": "Gespräch", "units": 12},
    "at a moment": {"at_ms": 1_795_887_182_567},
}


def _check(**said: Any) -> Call:
    usual: dict[str, Any] = {"handle": "abcd1234", "digests": ["u" * 22], "meter": "chat"}
    return charges.check_call(**{**usual, "units": 1, "request_id": None, **said})


@pytest.mark.parametrize("name", _CHECKS)
def test_a_check_reads_the_same_however_much_of_it_was_packed_before(name: str) -> None:
    for _ in range(2):
        call = _check(**_CHECKS[name])

        assert call.known is not None
        assert call.packed() == _packed_anew(call)


def _packed_anew(call: Call) -> bytes:
    words = ("EVALSHA", call.script.sha, len(call.keys), *call.keys, *call.args)
    return bytes(hiredis.pack_command(words))  # type: ignore[arg-type]


def test_checks_of_one_account_share_what_they_have_alike() -> None:
    plain = _check()

    assert _check(address="0" * 32).known is plain.known
    assert _check(request_id="one").known is plain.known
    assert _check(hold_id="hold", hold_ms=60_000).known is plain.known
    assert _check(meter="image").known is not plain.known


def test_arguments_that_are_put_together_by_hand_stand_as_they_are_declared() -> None:
    with pytest.raises(layout.CannotExpand):
        layout.SCRIPTS["check"].cut("address", rest=("address", "hold_id", "hold_ms", "digests"))
