"""The OpenAPI document of the public API, made of the `shapes` that the code reads by."""

from typing import Any

import msgspec

from api import shapes
from api.messages import ROLES
from gate.service import key_shapes
from gate.terms.reasons import MEANINGS

_SCHEMAS = "#/components/schemas/"
_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_WHOLE = {"type": "integer", "minimum": 0}
_WHOLE_OR_NONE = {"type": ["integer", "null"]}
# What a problem may say, for programs.
CODES = sorted(
    {
        *(meaning.code for meaning in MEANINGS.values() if meaning.status != 200),
        *("invalid_request", "not_found", "method_not_allowed", "model_not_found"),
        *("too_large", "unsupported_media_type", "too_many_holds", "model_failed", "model_busy"),
        *("stopping", "internal_error", "malformed_request", "head_too_large", "timed_out"),
        *("too_busy", "too_many_requests", "too_many_keys", "already_created", "revoked"),
        "cannot_rotate",
    }
)


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _SCHEMAS + name}


def _header(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "schema": schema}


_RATE_HEADERS = {
    "RateLimit-Policy": _header("The limits of the week and the minute (IETF draft).", _TEXT),
    "RateLimit": _header("What is left of them, and for how long (IETF draft).", _TEXT),
    "X-RateLimit-Limit": _header("Chats a week.", _WHOLE),
    "X-RateLimit-Remaining": _header("Chats left, from every source.", _WHOLE),
    "X-RateLimit-Reset": _header("When the week ends, in seconds since 1970.", _WHOLE),
}
_RETRY_AFTER = {"Retry-After": _header("Seconds.", _WHOLE)}
_CHALLENGE = {"WWW-Authenticate": _header("What to authenticate with.", _TEXT)}


def _problem(description: str, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "description": description,
        "headers": headers or {},
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_OF_EVERY_ADDRESS = {
    "401": _problem("The key is missing, malformed, unknown, revoked or expired.", _CHALLENGE),
    "403": _problem("The account is suspended, or the key or plan may not use this."),
    "408": _problem("The request did not arrive in time."),
    "413": _problem("The body is too large."),
    "431": _problem("The head is too large."),
    "500": _problem("Something broke on our side."),
    "503": _problem("No decision can be made now. Nothing passes for free.", _RETRY_AFTER),
}
_OF_CALLS = {
    **_OF_EVERY_ADDRESS,
    "400": _problem("A member is missing or wrong (`field` names it), or the model refused it."),
    "404": _problem("There is no such model."),
    "405": _problem("Another method than POST.", {"Allow": _header("Those there are.", _TEXT)}),
    "415": _problem("The body is not application/json, or compressed."),
    "429": _problem(
        "Used up, or asked too quickly: too many requests a minute or at once.",
        {**_RETRY_AFTER, **_RATE_HEADERS},
    ),
    "502": _problem("The model failed. `detail` says what became of the charge."),
    "503": _problem("No decision, or no room at the model. Nothing was charged.", _RETRY_AFTER),
}


def _call(
    summary: str, request: str, description: str, content: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    return {
        "post": {
            "summary": summary,
            "operationId": f"create{request}",
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": _ref(request)}},
            },
            "responses": {
                "200": {
                    "description": description,
                    "headers": _RATE_HEADERS,
                    "content": {kind: {"schema": schema} for kind, schema in content.items()},
                },
                **_OF_CALLS,
            },
        }
    }


def _look(
    summary: str,
    name: str,
    schema: dict[str, Any],
    more: dict[str, Any] | None = None,
    *,
    headers: dict[str, Any] = _RATE_HEADERS,
) -> dict[str, Any]:
    return {
        "get": {
            "summary": summary,
            "operationId": name,
            "responses": {
                "200": {
                    "description": "Costs nothing.",
                    "headers": headers,
                    "content": {"application/json": {"schema": schema}},
                },
                **_OF_EVERY_ADDRESS,
                **(more or {}),
            },
        }
    }


_, _COMPONENTS = msgspec.json.schema_components(
    (
        *(shapes.Chat, shapes.Completion, shapes.Image, shapes.Voice),
        *(key_shapes.NewKey, key_shapes.KeyChanges, key_shapes.Rotation, key_shapes.Revocation),
    ),
    ref_template=_SCHEMAS + "{name}",
)
_PARTS = {
    "type": "array",
    "minItems": 1,
    "maxItems": 100,
    "items": {
        "oneOf": [
            {**_object(type={"const": "text"}, text=_TEXT), "additionalProperties": False},
            {
                **_object(
                    type={"const": "image_url"},
                    image_url={
                        "type": "object",
                        "required": ["url"],
                        "properties": {
                            "url": {
                                "type": "string",
                                "pattern": "^(https?://|data:image/)",
                            },
                            "detail": {"enum": ["auto", "low", "high"]},
                        },
                        "additionalProperties": False,
                    },
                ),
                "additionalProperties": False,
                "description": "Of a user.",
            },
        ]
    },
}
_TIME_OR_NONE = {"type": ["string", "null"], "format": "date-time"}
_KEY: dict[str, Any] = {
    "object": {"const": "key"},
    "id": _WHOLE,
    "name": _TEXT,
    "environment": {**_TEXT, "description": "Where it is used; empty where nobody said."},
    "masked": {**_TEXT, "description": "What people recognise it by."},
    "state": {"enum": ["active", "off", "expired", "revoked"]},
    "scopes": {"type": "array", "items": _TEXT},
    "daily_cap": _WHOLE_OR_NONE,
    "weekly_cap": _WHOLE_OR_NONE,
    "monthly_cap": _WHOLE_OR_NONE,
    "total_cap": _WHOLE_OR_NONE,
    "requests_a_minute": _WHOLE_OR_NONE,
    "requests_at_once": _WHOLE_OR_NONE,
    "addresses": {"type": "array", "items": _TEXT},
    "models": {"type": "array", "items": _TEXT, "description": "That it may ask; none is all."},
    "created_at": _TIME,
    "expires_at": _TIME_OR_NONE,
    "old_secret": {
        "type": ["object", "null"],
        "description": "The secret before the last one, while it works.",
        "required": ["masked", "ends_at"],
        "properties": {"masked": _TEXT, "ends_at": _TIME},
    },
    "last_used_at": _TIME_OR_NONE,
    "disabled_at": _TIME_OR_NONE,
    "revoked_at": _TIME_OR_NONE,
    "revoke_reason": _TEXT,
}
_COMPONENTS |= {
    "Message": {
        "type": "object",
        "description": "A message in the OpenAI shape: text, or parts of text and pictures. "
        "`assistant` may have `tool_calls`, and then no content; `tool` has `tool_call_id`.",
        "required": ["role"],
        "properties": {
            "role": {"enum": list(ROLES)},
            "content": {"anyOf": [_TEXT, _PARTS, {"type": "null"}]},
            "name": {"type": "string", "minLength": 1, "maxLength": 128},
            "refusal": {"type": ["string", "null"]},
            "tool_call_id": {"type": "string", "minLength": 1, "maxLength": 128},
            "tool_calls": {"type": "array", "minItems": 1, "maxItems": 100, "items": {}},
        },
        "additionalProperties": False,
    },
    "Problem": {
        "type": "object",
        "description": "An error (RFC 9457); `error` is the same for clients of the OpenAI API.",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": _TEXT,
            "title": _TEXT,
            "status": _WHOLE,
            "code": {"enum": CODES, "description": "Stable; decide by it."},
            "detail": {"type": "string", "description": "A sentence for people."},
            "field": _TEXT,
            "resets_at": {"type": "string", "format": "date-time"},
            "billing_url": {"type": "string", "format": "uri"},
            "error": _object(
                message=_TEXT, type=_TEXT, param={"type": ["string", "null"]}, code=_TEXT
            ),
        },
    },
    "Answer": _object(
        text=_TEXT,
        usage=_object(
            prompt_tokens=_WHOLE,
            completion_tokens=_WHOLE,
            total_tokens=_WHOLE,
            finish_reason={"type": ["string", "null"]},
        ),
    ),
    "Media": _object(
        media_type=_TEXT,
        data={"type": "string", "contentEncoding": "base64"},
        usage={"type": "object", "additionalProperties": _WHOLE},
    ),
    "ChatCompletion": _object(
        id=_TEXT,
        object={"const": "chat.completion"},
        created=_WHOLE,
        model=_TEXT,
        choices={"type": "array", "items": {"type": "object"}},
        usage={"type": "object"},
    ),
    "Model": _object(
        id=_TEXT,
        object={"const": "model"},
        created=_WHOLE,
        owned_by=_TEXT,
        endpoint={"enum": ["chat", "images", "voice"]},
        chats={**_WHOLE, "description": "What a call costs."},
        description=_TEXT,
    ),
    "Models": _object(object={"const": "list"}, data={"type": "array", "items": _ref("Model")}),
    "Quota": _object(
        account=_TEXT,
        plan=_TEXT,
        suspended={"type": "boolean"},
        week=_object(
            starts_at=_TIME,
            resets_at=_TIME,
            cap=_WHOLE_OR_NONE,
            used=_WHOLE,
        ),
        remaining=_object(
            allowance=_WHOLE_OR_NONE,
            boost=_WHOLE,
            credits={
                "type": "integer",
                "description": "As far as account and key let them be spent.",
            },
            chats=_WHOLE_OR_NONE,
        ),
        credits={"type": "integer", "description": "The balance. Below zero is owed."},
        credits_per_chat=_WHOLE,
        spending=_object(
            past_allowance={
                "enum": ["boosts_and_credits", "boosts", "nothing"],
                "description": "What may pay past the allowance, by the stricter of what account "
                "and key chose.",
            },
            credits={**_WHOLE_OR_NONE, "description": "What their ceilings leave now."},
            units_a_request={**_WHOLE_OR_NONE, "description": "At the most."},
        ),
        requests=_object(
            a_minute={**_WHOLE_OR_NONE, "description": "In any 60 seconds; null is no limit."},
            left={**_WHOLE_OR_NONE, "description": "That pass now."},
            at_once={**_WHOLE_OR_NONE, "description": "Answered at the same time."},
            open={**_WHOLE_OR_NONE, "description": "That are being answered now."},
        ),
    ),
    "Key": _object(**_KEY),
    "CreatedKey": _object(
        **_KEY, key={**_TEXT, "description": "Its text, which is in this one answer and nowhere."}
    ),
    "Keys": _object(
        object={"const": "list"},
        data={"type": "array", "items": _ref("Key")},
        next={
            "type": ["string", "null"],
            "description": "The `after` of the next page; null behind the last key.",
        },
    ),
    "Usage": _object(
        object={"const": "usage"},
        account=_TEXT,
        starts_at=_TIME,
        ends_at=_TIME,
        zone=_TEXT,
        chats={"type": "integer"},
        credits={"type": "integer"},
        bars={
            "type": "array",
            "description": "Hours or days of the zone that follow one another and add up. Chats "
            "by what paid stand under allowance, boost and credits.",
            "items": _object(starts_at=_TIME, chats={"type": "integer"}, refused=_WHOLE),
        },
        by={"enum": ["source", "meter", "key", "model", "member", "tag"]},
        parts={
            "type": "array",
            "description": "What it is told apart by, those of most chats first. `id` is what the "
            "same address is narrowed by.",
            "items": _object(
                id={"type": ["integer", "string"]},
                name=_TEXT,
                chats={"type": "integer"},
                credits={"type": "integer"},
            ),
        },
        others={"type": "integer", "description": "Chats of more parts than are told."},
        refused={
            "type": "object",
            "description": "Refused requests by reason.",
            "additionalProperties": _WHOLE,
        },
        tokens={
            "type": "array",
            "items": _object(model=_TEXT, answers=_WHOLE, tokens_in=_WHOLE, tokens_out=_WHOLE),
        },
        as_of=_TIME,
    ),
}
_ASKED_OF_USAGE = {
    "span": "week, 4weeks, 90days or year, up to now; week unless said.",
    "week": "A quota week of UTC, by its Monday: 2026-03-30.",
    "from": "The first day, as 2026-03-29, of the zone.",
    "to": "The last day, included. Today unless said.",
    "zone": "Whose days and hours: Europe/Berlin. UTC unless said.",
    "by": "What parts are: key unless said; source, meter, model, member or tag.",
    "key": "One key alone, by its id. At most one of key, member, tag and model.",
    "member": "The keys of one member alone, by its id.",
    "tag": "One tag alone.",
    "model": "One model alone.",
    "meter": "One endpoint alone: chat, images, voice.",
    "source": "What one source paid alone: allowance, boost or credits.",
}


def _asked(name: str, says: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": says, "schema": _TEXT}


# What the site answers, because it reads PostgreSQL; the front knows the way.
OF_THE_SITE = frozenset(
    {
        *("/api/v1/usage", "/api/v1/keys", "/api/v1/keys/{id}"),
        *("/api/v1/keys/{id}/rotate", "/api/v1/keys/{id}/revoke"),
    }
)
_OF_MANAGING = {
    **_OF_EVERY_ADDRESS,
    "429": _problem("Too many requests of this key in a minute.", _RETRY_AFTER),
}
_NO_SUCH_KEY = {"404": _problem("The account has no such key.")}
_IS_REVOKED = {"409": _problem("The key is revoked, which is final.")}


def _managing(
    summary: str,
    name: str,
    answers: dict[str, str],
    more: dict[str, Any],
    *,
    says: str = "",
    body: str = "",
    is_required: bool = True,
) -> dict[str, Any]:
    """Something that programs do to keys. answers: what is answered, by status."""
    of_body: dict[str, Any] = {}
    if body:
        content = {"application/json": {"schema": _ref(body)}}
        of_body = {"requestBody": {"required": is_required, "content": content}}
        more = {
            "400": _problem("A member is missing or wrong; `field` names it."),
            "415": _problem("The body is not application/json, or compressed."),
            **more,
        }
    return {
        "summary": summary,
        **({"description": says} if says else {}),
        "operationId": name,
        # What may go wrong with them is not what may go wrong with calls.
        "tags": ["keys"],
        **of_body,
        "responses": {
            **{
                status: {
                    "description": "Costs nothing.",
                    "content": {"application/json": {"schema": _ref(shape)}},
                }
                for status, shape in answers.items()
            },
            **_OF_MANAGING,
            **more,
        },
    }


_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}}
_ASKED_OF_KEYS = {
    "after": "The `next` of the page before.",
    "limit": "Keys on a page, 1 to 100; 50 unless said.",
    "state": "active, off, expired or revoked alone.",
    "environment": "Where they are used, as it is spelled.",
    "q": "A part of the name, or the last four characters.",
}
_MANAGING_KEYS = {
    "/api/v1/keys": {
        "get": {
            **_managing(
                "The account’s keys, the newest first; the key needs the scope keys:manage.",
                "listKeys",
                {"200": "Keys"},
                {"400": _problem("What is asked for cannot be read; `field` names it.")},
                says="A key with this scope never calls a model. What it does is in the audit log.",
            ),
            "parameters": [_asked(name, says) for name, says in _ASKED_OF_KEYS.items()],
        },
        "post": {
            **_managing(
                "Make a key. Its text is in this one answer.",
                "createKey",
                {"201": "CreatedKey"},
                {
                    "409": _problem(
                        "This Idempotency-Key made a key already, or the account has too many. No "
                        "answer repeats a text: `Location` leads to the key that was made."
                    )
                },
                body="NewKey",
                says="Keys with the scope keys:manage are made by people alone.",
            ),
            "parameters": [
                {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "description": "Yours, of up to 255 characters: the same one never makes a "
                    "second key.",
                    "schema": _TEXT,
                }
            ],
        },
    },
    "/api/v1/keys/{id}": {
        "parameters": [_ID],
        "get": _managing("One key.", "getKey", {"200": "Key"}, _NO_SUCH_KEY),
        "patch": _managing(
            "Change a key, switch it off or on.",
            "changeKey",
            {"200": "Key"},
            {**_NO_SUCH_KEY, **_IS_REVOKED},
            body="KeyChanges",
            says="It counts for the very next request with the key. A list that is named replaces "
            "the one there was. Keys that manage keys are changed by people alone.",
        ),
    },
    "/api/v1/keys/{id}/rotate": {
        "parameters": [_ID],
        "post": {
            **_managing(
                "Give a key another secret. Its text is in this one answer.",
                "rotateKey",
                {"200": "CreatedKey", "202": "CreatedKey"},
                {
                    **_NO_SUCH_KEY,
                    "409": _problem(
                        "The key is revoked or expired, or this Idempotency-Key rotated it "
                        "already. No answer repeats a text."
                    ),
                },
                body="Rotation",
                is_required=False,
                says="The key stays: its id, name, limits and usage. Both secrets are one key "
                "while the old one works; one before that ends at once. 202: it is saved, and "
                "the gate will know in a few seconds. Keys that manage keys are rotated by people "
                "alone.",
            ),
            "parameters": [
                {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "description": "Yours, of up to 255 characters: the same one does not rotate "
                    "the key again.",
                    "schema": _TEXT,
                }
            ],
        },
    },
    "/api/v1/keys/{id}/revoke": {
        "parameters": [_ID],
        "post": _managing(
            "Revoke a key for good. Again changes nothing.",
            "revokeKey",
            {"200": "Key"},
            _NO_SUCH_KEY,
            body="Revocation",
            is_required=False,
            says="Of the keys that manage keys, one may revoke itself.",
        ),
    },
}
_BYTES = {"type": "string", "contentMediaType": "application/octet-stream"}

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "sansxel API",
        "version": "1",
        "description": "Chats, pictures and speech. A call is paid for when its answer was "
        "delivered: what fails, breaks off or has nothing in it costs nothing; who goes away in "
        "the middle of an answer pays for it.",
    },
    "security": [{"apiKey": []}],
    "paths": {
        "/api/v1/chat": _call(
            "One chat, answered as text.",
            "Chat",
            "The answer: with `stream` its text as it is made, otherwise JSON.",
            {"application/json": _ref("Answer"), "text/plain": _TEXT},
        ),
        "/api/v1/chat/completions": _call(
            "One chat in the shape of the OpenAI API.",
            "Completion",
            "The answer: with `stream` chunks as server-sent events, otherwise JSON.",
            {"application/json": _ref("ChatCompletion"), "text/event-stream": _TEXT},
        ),
        "/api/v1/images": _call(
            "One picture of a prompt.",
            "Image",
            "The picture: with `stream` its bytes, otherwise JSON.",
            {
                "application/json": _ref("Media"),
                **{f"image/{kind}": _BYTES for kind in ("png", "jpeg", "webp", "svg+xml")},
            },
        ),
        "/api/v1/voice": _call(
            "A text, spoken.",
            "Voice",
            "The sound: with `stream` its bytes as they are made, otherwise JSON.",
            {"application/json": _ref("Media"), "audio/*": _BYTES},
        ),
        "/api/v1/models": _look("The models that the key may use.", "listModels", _ref("Models")),
        "/api/v1/models/{name}": {
            "parameters": [
                {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
            ],
            **_look(
                "One of them.",
                "getModel",
                _ref("Model"),
                {"404": _problem("There is no such model for this key.")},
            ),
        },
        "/api/v1/quota": _look("What the key may still do.", "getQuota", _ref("Quota")),
        **_MANAGING_KEYS,
        "/api/v1/usage": {
            "parameters": [_asked(name, says) for name, says in _ASKED_OF_USAGE.items()],
            **_look(
                "What the account used in a span of time; the key needs the scope usage:read.",
                "getUsage",
                _ref("Usage"),
                {"400": _problem("What is asked for cannot be read; `field` names it.")},
                headers={},
            ),
        },
    },
    "components": {
        "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}},
        "schemas": _COMPONENTS,
    },
}
