"""Reading what a customer asks, strictly: nothing is dropped, and what is wrong is named."""

import difflib
from collections.abc import Collection
from typing import Any

from msgspec import Struct
from starlette.requests import Request

from gate.service import limits
from gate.service.checking import first_misfit, members_of, require_no_secret
from gate.service.http import Problem, header_values, invalid, json_object, read_body
from gate.terms import tags

_BOM = b"\xef\xbb\xbf"
BODY_AT_MOST = 2 * 1024 * 1024
assert BODY_AT_MOST < limits.BODY_BYTES
_USER_AT_MOST = 512


async def read_json(request: Request) -> dict[str, Any]:
    """The JSON object in a body; Problem 400, 413 or 415, ClientGone."""
    headers = request.headers.raw
    coding = header_values(headers, b"content-encoding")
    if coding and coding[0].strip().lower() not in (b"", b"identity"):
        raise Problem(415, "unsupported_media_type", "Send the body without compression.")
    body = await read_body(request.receive, BODY_AT_MOST)
    return json_object(headers, body.removeprefix(_BOM))


def read_members(body: dict[str, Any], shape: type[Struct]) -> dict[str, Any]:
    """The members of a body that were given, null being none; Problem 400 that names the field."""
    known = {member.encode_name for member in members_of(shape)}
    for name in body:
        if name not in known:
            raise unknown_member(name, known)
    misfit = first_misfit(body, shape)
    if misfit is not None:
        name, what = misfit
        raise invalid(name, f"“{name}” {what}.")
    return {name: value for name, value in body.items() if value is not None}


def take_tag(asked: dict[str, Any]) -> str:
    """For whom a request asks, "" for nobody told, taken out of its members.

    What OpenAI calls `user` counts where there is no tag and it could be one; one that no model
    would take is taken out, too. Problem 400 for a tag that looks like a secret.
    """
    tag, user = asked.pop("tag", None), asked.get("user")
    if not isinstance(user, str) or len(user) > _USER_AT_MOST:
        asked.pop("user", None)
    if tag is None:
        return tags.usable(user)
    require_no_secret("tag", tag)
    return str(tag)


def unknown_member(name: str, known: Collection[str], *, field: str | None = None) -> Problem:
    """The refusal of a member that there is not, with the one that may have been meant."""
    return invalid(field or name, f"There is no member “{name}” here.{did_you_mean(name, known)}")


def did_you_mean(name: str, known: Collection[str]) -> str:
    """A sentence with the known name that is nearest, behind a blank; empty where none is near."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f" Did you mean “{near[0]}”?" if near else ""
