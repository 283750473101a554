"""The messages of a chat in the OpenAI shape: read strictly, nothing is dropped silently."""

from typing import Any

from api.reading import unknown_member
from gate.service.http import Problem, invalid

ROLES = ("assistant", "developer", "system", "tool", "user")
MESSAGES_AT_MOST = 1_000
_PARTS_AT_MOST = 100
_NAME_AT_MOST = 128
_IMAGE_BEGINS = ("https://", "http://", "data:image/")
_MEMBERS = {
    "assistant": ("content", "name", "refusal", "role", "tool_calls"),
    "tool": ("content", "role", "tool_call_id"),
}
_MEMBERS_OF_OTHERS = ("content", "name", "role")


def read_messages(value: object) -> list[dict[str, Any]]:
    """The messages of a request; Problem 400 that names the field."""
    if not isinstance(value, list) or not value:
        raise invalid("messages", "“messages” must be a list with at least one message.")
    if len(value) > MESSAGES_AT_MOST:
        raise invalid("messages", f"“messages” may hold at most {MESSAGES_AT_MOST:,} messages.")
    for at, message in enumerate(value):
        _look_at(message, f"messages[{at}]")
    return value


def _look_at(message: object, field: str) -> None:
    if not isinstance(message, dict):
        raise invalid(field, f"“{field}” must be an object with “role” and “content”.")
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise invalid(f"{field}.role", f"“role” must be one of {', '.join(ROLES)}.")
    known = _MEMBERS.get(role, _MEMBERS_OF_OTHERS)
    for name in message:
        if name not in known:
            raise unknown_member(name, known, field=f"{field}.{name}")
    name = message.get("name")
    if name is not None and not _is_text(name, _NAME_AT_MOST):
        raise _must_be(field, "name", f"a text of 1 to {_NAME_AT_MOST} characters")
    if role == "tool" and not _is_text(message.get("tool_call_id"), _NAME_AT_MOST):
        raise _must_be(field, "tool_call_id", "the id of the call that it answers")
    refusal = message.get("refusal")
    if refusal is not None and not isinstance(refusal, str):
        raise _must_be(field, "refusal", "a text")
    calls = message.get("tool_calls")
    if calls is not None:
        _look_at_calls(calls, f"{field}.tool_calls")
    _look_at_content(message, role, field)


def _look_at_content(message: dict[str, Any], role: str, field: str) -> None:
    content = message.get("content")
    if content is None and (message.get("tool_calls") or message.get("refusal")):
        return
    field = f"{field}.content"
    if isinstance(content, list) and content:
        if len(content) > _PARTS_AT_MOST:
            raise invalid(field, f"“content” may have at most {_PARTS_AT_MOST} parts.")
        for at, part in enumerate(content):
            _look_at_part(part, role, f"{field}[{at}]")
        return
    # A tool may have nothing to say.
    if not isinstance(content, str) or not (content.strip() or role == "tool"):
        raise invalid(field, "“content” must be a text that is not empty, or a list of parts.")


def _look_at_part(part: object, role: str, field: str) -> None:
    if not isinstance(part, dict):
        raise invalid(field, f"“{field}” must be an object with a “type”.")
    kind = part.get("type")
    if kind == "text":
        if not isinstance(part.get("text"), str):
            raise invalid(f"{field}.text", "“text” must be a text.")
    elif kind == "refusal" and role == "assistant":
        if not isinstance(part.get("refusal"), str):
            raise invalid(f"{field}.refusal", "“refusal” must be a text.")
    elif kind == "image_url" and role == "user":
        _look_at_image(part.get("image_url"), f"{field}.image_url")
    else:
        kinds = {"user": "text or image_url", "assistant": "text or refusal"}.get(role, "text")
        raise invalid(f"{field}.type", f"“type” must be {kinds} in a message of this role.")
    known = ("type", str(kind))
    for name in part:
        if name not in known:
            raise unknown_member(name, known, field=f"{field}.{name}")


def _look_at_image(image: object, field: str) -> None:
    if not isinstance(image, dict):
        raise invalid(field, "“image_url” must be an object with a “url”.")
    url = image.get("url")
    if not isinstance(url, str) or not url.startswith(_IMAGE_BEGINS):
        raise invalid(f"{field}.url", "“url” must begin with https://, http:// or data:image/.")
    if image.get("detail", "auto") not in ("auto", "low", "high"):
        raise invalid(f"{field}.detail", "“detail” must be auto, low or high.")
    for name in image:
        if name not in ("url", "detail"):
            raise unknown_member(name, ("url", "detail"), field=f"{field}.{name}")


def _look_at_calls(calls: object, field: str) -> None:
    if not isinstance(calls, list) or not calls or len(calls) > _PARTS_AT_MOST:
        raise invalid(field, f"“tool_calls” must be a list of 1 to {_PARTS_AT_MOST} calls.")
    for at, call in enumerate(calls):
        function = call.get("function") if isinstance(call, dict) else None
        if (
            not isinstance(call, dict)
            or not _is_text(call.get("id"), _NAME_AT_MOST)
            or call.get("type") != "function"
            or not isinstance(function, dict)
            or not _is_text(function.get("name"), _NAME_AT_MOST)
            or not isinstance(function.get("arguments"), str)
        ):
            raise invalid(
                f"{field}[{at}]",
                "A call has “id”, “type”: “function” and “function” with “name” and “arguments”, "
                "both texts.",
            )


def _is_text(value: object, at_most: int) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= at_most


def _must_be(field: str, name: str, what: str) -> Problem:
    return invalid(f"{field}.{name}", f"“{name}” must be {what}.")
