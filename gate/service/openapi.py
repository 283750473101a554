"""The OpenAPI document of the quota-check service, with the bounds that the code checks."""

from typing import Any

from gate.service.checking import (
    MAX_BATCH,
    MAX_CHARGE_ID,
    MAX_HOLD_SECONDS,
    MAX_REQUEST_ID,
    MAX_TEXT,
    MAX_UNITS,
)
from gate.terms.reasons import MEANINGS

_WHOLE = {"type": "integer", "minimum": 0}
_MOMENT = {"type": "string", "format": "date-time"}
_BY_SOURCE = {
    "type": "object",
    "required": ["allowance", "boost", "credits"],
    "properties": {"allowance": _WHOLE, "boost": _WHOLE, "credits": _WHOLE},
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _header_of_answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "schema": schema}


_TEXT = {"type": "string"}
_RATE_HEADERS = {
    "RateLimit-Policy": _header_of_answer("The weekly limit (IETF draft).", _TEXT),
    "RateLimit": _header_of_answer("What is left of it, and for how long (IETF draft).", _TEXT),
    "X-RateLimit-Limit": _header_of_answer("Chats a week.", _WHOLE),
    "X-RateLimit-Remaining": _header_of_answer("Chats left, from every source.", _WHOLE),
    "X-RateLimit-Reset": _header_of_answer("When the week ends, in seconds since 1970.", _WHOLE),
}
_RETRY_AFTER = {"Retry-After": _header_of_answer("Seconds.", _WHOLE)}
_REASON = {"X-Quota-Reason": _header_of_answer("The `code` of the problem.", _TEXT)}
_LINK = {"Link": _header_of_answer('Where to buy more, with rel="payment".', _TEXT)}
_CHALLENGE = {"WWW-Authenticate": _header_of_answer("What to authenticate with.", _TEXT)}
_ALLOW = {"Allow": _header_of_answer("The methods there are.", _TEXT)}


def _json(
    schema: dict[str, Any], description: str, headers: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "description": description,
        "headers": headers or {},
        "content": {"application/json": {"schema": schema}},
    }


def _problem(description: str, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "description": description,
        "headers": headers or {},
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }


_BROKEN = _problem("Something broke on our side.")
_UNAVAILABLE = _problem("No decision can be made now. Nothing passes for free.", _RETRY_AFTER)
# Of every address; the connection is closed.
_OF_HTTP = {
    "408": _problem("The request did not arrive in time."),
    "413": _problem("The body is too large."),
    "431": _problem("The head is too large."),
}
_COMMON = {
    "400": _problem("A member is missing or wrong; `field` names it."),
    "401": _problem("The service token is missing, unknown or revoked.", _CHALLENGE),
    "405": _problem("Another method than POST.", _ALLOW),
    "415": _problem("The body is not application/json."),
    "500": _BROKEN,
    "503": _UNAVAILABLE,
    **_OF_HTTP,
}


def _operation(
    summary: str, request: str, answer: dict[str, Any], *, conflict: str | None = None
) -> dict[str, Any]:
    responses = {"200": answer, **_COMMON}
    if conflict is not None:
        responses["409"] = _problem(conflict)
    return {
        "post": {
            "summary": summary,
            "operationId": request[0].lower() + request[1:],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": _ref(request)}},
            },
            "responses": responses,
        }
    }


def _members(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required,
        "additionalProperties": False,
        "properties": properties,
    }


def _units(minimum: int = 0) -> dict[str, Any]:
    return {"type": "integer", "minimum": minimum, "maximum": MAX_UNITS}


_CODES = [
    "invalid_request",
    "invalid_service_token",
    "gateway_misconfigured",
    "not_found",
    "method_not_allowed",
    "request_id_conflict",
    "too_many_holds",
    "hold_expired",
    "settled_otherwise",
    "too_large",
    "unsupported_media_type",
    *sorted({meaning.code for meaning in MEANINGS.values() if meaning.status != 200}),
    "internal_error",
    "malformed_request",
    "head_too_large",
    "timed_out",
    "too_busy",
]
_REQUEST_ID_PATTERN = "^[ -~]+$"
_ADDRESS = [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}]
_CHARGE_ID = {"type": "string", "minLength": 1, "maxLength": MAX_CHARGE_ID}

_SCHEMAS: dict[str, Any] = {
    "Check": _members(
        ["key"],
        key={"type": "string", "minLength": 1, "maxLength": MAX_TEXT},
        meter={"type": "string", "minLength": 1, "maxLength": MAX_TEXT, "default": "chat"},
        units={**_units(), "default": 1, "description": "0 looks without charging."},
        request_id={
            "type": ["string", "null"],
            "minLength": 1,
            "maxLength": MAX_REQUEST_ID,
            "pattern": _REQUEST_ID_PATTERN,
            "description": "The same id of the same account is charged once within an hour.",
        },
        ip={
            "anyOf": [*_ADDRESS, {"type": "null"}],
            "description": (
                "The customer's address, for keys that are bound to some. A port, brackets and a "
                "zone are understood."
            ),
        },
        hold_seconds={
            "type": "integer",
            "minimum": 0,
            "maximum": MAX_HOLD_SECONDS,
            "default": 0,
            "description": "Hold instead of charging; settle it, or it is released by the clock.",
        },
    ),
    "Batch": _members(
        ["checks"],
        checks={
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_BATCH,
            "items": {"type": "object", "description": "As the body of /quota/v1/check."},
        },
    ),
    "Settle": _members(["charge_id", "units"], charge_id=_CHARGE_ID, units=_units()),
    "Refund": _members(["charge_id"], charge_id=_CHARGE_ID),
    "Decision": {
        "type": "object",
        "required": ["allowed", "reason"],
        "properties": {
            "allowed": {"type": "boolean"},
            "reason": {
                "enum": [reason for reason, meaning in MEANINGS.items() if meaning.is_told],
                "description": (
                    "A key that is bound to other addresses is an invalid_key. `…_reached` and "
                    "`quota_exhausted` end with the week; the request is too large for any week "
                    "where it is `above_…`."
                ),
            },
            "charge_id": {"type": ["string", "null"]},
            "account": {"type": "string"},
            "key_id": _WHOLE,
            "plan": {"type": "string"},
            "paid_by": _BY_SOURCE,
            "remaining": {
                "type": "object",
                "required": ["allowance", "boost", "credits"],
                "properties": {
                    "allowance": {
                        "type": ["integer", "null"],
                        "minimum": 0,
                        "description": "Null is unlimited.",
                    },
                    "boost": _WHOLE,
                    "credits": {"type": "integer", "description": "Below zero is owed."},
                },
            },
            "resets_at": {"type": ["string", "null"], "format": "date-time"},
            "retry_after": {
                "type": ["integer", "null"],
                "minimum": 0,
                "description": "Seconds; null where waiting does not help.",
            },
        },
    },
    "Problem": {
        "type": "object",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"enum": _CODES, "description": "Stable; decide by it."},
            "detail": {"type": "string", "description": "A sentence for people."},
            "field": {"type": "string"},
            "resets_at": _MOMENT,
            "billing_url": {"type": "string", "format": "uri"},
        },
    },
    "Decisions": {
        "type": "object",
        "required": ["decisions"],
        "properties": {
            "decisions": {
                "type": "array",
                "items": {
                    "anyOf": [
                        _ref("Decision"),
                        {
                            "type": "object",
                            "required": ["problem"],
                            "properties": {"problem": _ref("Problem")},
                        },
                    ]
                },
            }
        },
    },
    "Settled": {
        "type": "object",
        "required": ["settled", "already", "kept"],
        "properties": {
            "settled": {"const": True},
            "already": {"type": "boolean"},
            "kept": _BY_SOURCE,
        },
    },
    "Refunded": {
        "type": "object",
        "required": ["refunded", "already", "returned"],
        "properties": {
            "refunded": {"const": True},
            "already": {"type": "boolean"},
            "returned": {
                **_BY_SOURCE,
                "description": "Allowance chats of a week that has ended are gone: 0.",
            },
        },
    },
}


def _header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", **schema},
    }


_TRUSTED = (
    "Counts only if the service token was issued with that trust; otherwise it is ignored: a "
    "customer can send any header that a gateway forgets to strip."
)
_AUTHORIZE = {
    "summary": "The decision as a gateway's forward authentication asks for it.",
    "description": (
        "Any other method is judged alike, and so is any path below this one: some gateways pass "
        "on those of the customer's request. A CORS preflight (the method OPTIONS, with Origin and "
        "Access-Control-Request-Method and without Authorization) is 200 and charges nothing."
    ),
    "security": [{"gatewayToken": [], "customerKey": []}],
    "parameters": [
        _header(
            "X-Quota-Meter",
            "Defaults to chat. Ignored where the service token has a meter of its own.",
            maxLength=MAX_TEXT,
        ),
        _header(
            "X-Quota-Client-IP",
            f"The customer's address, for keys that are bound to some. {_TRUSTED} Instead, a "
            "token may be issued with the number of proxies that add to X-Forwarded-For.",
            anyOf=_ADDRESS,
        ),
        _header(
            "X-Quota-Units",
            f"0 to {MAX_UNITS:,}; defaults to 1, and 0 looks without charging. {_TRUSTED}",
            pattern="^[0-9]{1,5}$",
        ),
        _header(
            "X-Quota-Request-Id",
            f"Charged once within an hour. {_TRUSTED}",
            minLength=1,
            pattern=_REQUEST_ID_PATTERN,
            maxLength=MAX_REQUEST_ID,
        ),
    ],
    "responses": {
        "200": {
            "description": "Allowed, and charged unless for 0 units.",
            "headers": {
                "X-Quota-Account": _header_of_answer("The account's handle.", _TEXT),
                "X-Quota-Key": _header_of_answer("The number of the key.", _WHOLE),
                "X-Quota-Charge": _header_of_answer("The charge_id, for a refund.", _TEXT),
                **_RATE_HEADERS,
            },
        },
        "401": _problem("The customer's key is not valid.", {**_CHALLENGE, **_REASON}),
        "403": _problem("Not permitted.", {**_RATE_HEADERS, **_REASON}),
        "429": _problem(
            "Not enough. `Retry-After` and `resets_at` are there where waiting can help.",
            {**_RETRY_AFTER, **_RATE_HEADERS, **_REASON, **_LINK},
        ),
        "500": _problem("Something broke on our side.", _REASON),
        "503": _problem(
            "No decision can be made now, or the gateway is not set up correctly (its service "
            "token, meter or another header of its own), which the operator finds in the log.",
            {**_RETRY_AFTER, **_REASON},
        ),
        **_OF_HTTP,
    },
}

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "sansxel quota check",
        "version": "1",
        "description": "Exact decisions on allowance, boosts and credits, for API servers.",
    },
    "security": [{"serviceToken": []}],
    "paths": {
        "/quota/v1/check": _operation(
            "Decide one charge, or look.",
            "Check",
            _json(_ref("Decision"), "A decision, allowed or not.", _RATE_HEADERS),
            conflict="The request id was used for something else, or too many holds are open.",
        ),
        "/quota/v1/check/batch": _operation(
            "Independent decisions in one call.",
            "Batch",
            _json(_ref("Decisions"), "One decision or problem for each check, in their order."),
        ),
        "/quota/v1/settle": _operation(
            "Keep part of a hold and give the rest back.",
            "Settle",
            _json(_ref("Settled"), "What was kept."),
            conflict="The hold ran out, or was settled otherwise.",
        ),
        "/quota/v1/refund": _operation(
            "Give a charge back, once, within 24 hours.",
            "Refund",
            _json(_ref("Refunded"), "What came back."),
        ),
        "/quota/v1/authorize": {
            "get": {**_AUTHORIZE, "operationId": "authorizeGet"},
            "post": {**_AUTHORIZE, "operationId": "authorizePost"},
        },
    },
    "components": {
        "securitySchemes": {
            "serviceToken": {"type": "http", "scheme": "bearer"},
            "customerKey": {"type": "http", "scheme": "bearer"},
            "gatewayToken": {
                "type": "apiKey",
                "in": "header",
                "name": "X-Quota-Service-Token",
            },
        },
        "schemas": _SCHEMAS,
    },
}
