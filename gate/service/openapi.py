"""The OpenAPI document of the quota-check service, made of the `shapes` that the code reads by."""

from typing import Any

import msgspec

from gate.service import shapes

_WHOLE = {"type": "integer", "minimum": 0}
_SCHEMAS = "#/components/schemas/"


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _SCHEMAS + name}


def _header_of_answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "schema": schema}


_TEXT = {"type": "string"}
_RATE_HEADERS = {
    "RateLimit-Policy": _header_of_answer(
        "The limits of the week and the minute (IETF draft).", _TEXT
    ),
    "RateLimit": _header_of_answer("What is left of them, and for how long (IETF draft).", _TEXT),
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


_SHAPES = (
    *(shapes.Check, shapes.Batch, shapes.Settle, shapes.Extend, shapes.Refund),
    *(shapes.Decision, shapes.Undecided, shapes.Decisions, shapes.Settled, shapes.Extended),
    shapes.Refunded,
)
_, _COMPONENTS = msgspec.json.schema_components(_SHAPES, ref_template=_SCHEMAS + "{name}")


def _headers(shape: type[msgspec.Struct]) -> list[dict[str, Any]]:
    """A parameter for each header that a shape names."""
    _, known = msgspec.json.schema_components((shape,))
    return [
        {
            "name": name,
            "in": "header",
            "required": False,
            "description": schema.pop("description"),
            "schema": schema,
        }
        for name, schema in known[shape.__name__]["properties"].items()
    ]


_AUTHORIZE = {
    "summary": "The decision as a gateway's forward authentication asks for it.",
    "description": (
        "Any other method is judged alike, and so is any path below this one: some gateways pass "
        "on those of the customer's request. A CORS preflight (the method OPTIONS, with Origin and "
        "Access-Control-Request-Method and without Authorization) is 200 and charges nothing."
    ),
    "security": [{"gatewayToken": [], "customerKey": []}],
    "parameters": _headers(shapes.Authorize),
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
            "Not enough, or asked too quickly. `Retry-After` and `resets_at` are there where "
            "waiting can help.",
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
        "/quota/v1/extend": _operation(
            "Let a hold run on, for as long as an answer takes.",
            "Extend",
            _json(_ref("Extended"), "The hold goes on."),
            conflict="The hold ran out, or was settled or given back.",
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
        "schemas": _COMPONENTS,
    },
}
