"""Charge ids carry what was taken, and cannot be made up."""

import pytest

from gate.decision import receipt
from gate.terms.key_text import Pepper

PEPPER = Pepper(pepper_id="1", secret=b"a" * 32)
PAID = receipt.Receipt(
    handle="AbCd1234",
    charge_ref="1763850000000-7",
    is_hold=False,
    at_ms=1_763_850_000_000,
    week=2916,
    key_id=12,
    key_digest="abcdefghijklmnopqrstuv",
    meter="chat",
    allowance=3,
    boosts="4:2",
    credits=6,
    credit_chats=3,
)


def test_a_charge_id_gives_the_receipt_back() -> None:
    assert receipt.from_charge_id(receipt.to_charge_id(PAID, PEPPER), [PEPPER]) == PAID


def test_a_charge_id_survives_a_change_of_pepper() -> None:
    newer = Pepper(pepper_id="2", secret=b"b" * 32)
    charge_id = receipt.to_charge_id(PAID, PEPPER)
    assert receipt.from_charge_id(charge_id, [newer, PEPPER]) == PAID
    with pytest.raises(receipt.UnknownCharge):
        receipt.from_charge_id(charge_id, [newer])


def test_a_changed_charge_id_is_refused() -> None:
    charge_id = receipt.to_charge_id(PAID, PEPPER)
    for position in range(3, len(charge_id) - 1):
        other = "A" if charge_id[position] != "A" else "B"
        with pytest.raises(receipt.UnknownCharge):
            receipt.from_charge_id(
                charge_id[:position] + other + charge_id[position + 1 :], [PEPPER]
            )


@pytest.mark.parametrize("text", ["", "ch_", "ch_é", "ch_A", "ch_" + "A" * 10_000, "x"])
def test_what_is_not_a_charge_id_is_refused(text: str) -> None:
    with pytest.raises(receipt.UnknownCharge):
        receipt.from_charge_id(text, [PEPPER])
