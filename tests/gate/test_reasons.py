"""A reason is declared once, and everybody who says it reads it from there."""

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from gate.decision.check import Decision, QuotaUnavailable
from gate.service.openapi import DOCUMENT
from gate.service.refusals import refusal
from gate.store import charges, hot_state, layout
from gate.store.charges import Answer
from gate.store.connection import sync_client
from gate.store.expanding import ANSWERS_OF_SCRIPTS, expand
from gate.store.layout import CannotExpand
from gate.terms.reasons import MEANINGS, Outcome, Reason
from tests.gate.world import World

FOLDER = Path(layout.__file__).parent / "lua"
LUA = {path.name: path.read_text() for path in FOLDER.glob("*.lua")}


def test_each_reason_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Reason)


def test_scripts_spell_no_reason_and_no_outcome_themselves() -> None:
    known = {str(value) for value in (*Reason, *Outcome)} - {"suspended"}  # a field, too
    for name, text in LUA.items():
        code = re.sub(r"--.*", "", text)
        assert known.isdisjoint(re.findall(r"'(\w+)'", code)), name


@pytest.mark.parametrize(("macro", "enum"), [("REASON", Reason), ("OUTCOME", Outcome)])
def test_scripts_use_every_one_and_no_other(macro: str, enum: type[Reason]) -> None:
    used = {word for text in LUA.values() for word in re.findall(rf"\b{macro}\.(\w+)", text)}
    assert used == {str(value) for value in enum}


@pytest.mark.parametrize("lua", ["return REASON.no_mood", "return OUTCOME.broken"])
def test_a_script_with_an_unknown_one_is_not_loaded(lua: str) -> None:
    with pytest.raises(CannotExpand, match="there is no"):
        expand(lua, script="check")


def test_the_openapi_document_lists_what_callers_are_told() -> None:
    schemas: Any = DOCUMENT["components"]["schemas"]
    told = schemas["Decision"]["properties"]["reason"]["enum"]
    assert told == [reason for reason in Reason if MEANINGS[reason].is_told]
    codes = schemas["Problem"]["properties"]["code"]["enum"]
    assert {meaning.code for meaning in MEANINGS.values()} - {"ok"} <= set(codes)


@pytest.mark.parametrize("reason", [reason for reason in Reason if MEANINGS[reason].status != 200])
def test_each_refusal_is_answered_with_its_status_and_code(reason: Reason) -> None:
    answer = Answer("x", cap=5, key_cap=3, week=2916, wanted=7, units_a_request=3)
    answer = replace(answer, room="3|0|0|3|3", met="key|day|3|3")
    problem = refusal(Decision(False, reason, "Abcd1234", None, answer), billing_url="https://x/")
    assert (problem.status, problem.code) == (MEANINGS[reason].status, MEANINGS[reason].code)
    assert "{" not in problem.body().detail


async def test_an_unknown_one_is_never_a_pass_and_never_silent(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As from the script of a later release: the same one with another word in it."""
    text = charges._CHECK.text.replace("'quota_exhausted'", "'out_of_luck'")
    sha = sync_client(settings.REDIS_URL).script_load(text)
    monkeypatch.setattr(charges, "_CHECK", hot_state.Script(text=text, sha=str(sha)))
    world.grant(used=50)
    async with world.gate() as gate:
        with caplog.at_level(logging.ERROR), pytest.raises(QuotaUnavailable):
            await gate.check()
    assert "'out_of_luck', which gate.terms.reasons does not know" in caplog.text


def test_the_layout_offers_both_to_lua() -> None:
    assert {"REASON": Reason, "OUTCOME": Outcome} == ANSWERS_OF_SCRIPTS
