"""Errors as the API tells them: a problem document that OpenAI's clients understand, too."""

from typing import Any

import msgspec
from starlette.responses import Response

from gate.service.http import Problem
from gate.service.strict_json import dumps

# Kinds of errors as the OpenAI API has them; what is not here is "api_error".
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    429: "rate_limit_error",
}


def error_of(problem: Problem) -> dict[str, Any]:
    """What the clients of OpenAI read of an error."""
    field = problem.members.get("field")
    return {
        "message": problem.detail,
        "type": _TYPES.get(problem.status, "api_error"),
        "param": field,
        "code": problem.code,
    }


def problem_response(problem: Problem) -> Response:
    """An error as an answer."""
    body: dict[str, Any] = msgspec.to_builtins(problem.body())
    body["error"] = error_of(problem)
    response = Response(dumps(body), problem.status, media_type="application/problem+json")
    response.raw_headers += [(b"cache-control", b"no-store"), *problem.headers]
    if problem.status == 429 and not _is_short(problem):
        # OpenAI's clients try a 429 again at once otherwise, though a week has to end first.
        response.raw_headers.append((b"x-should-retry", b"false"))
    return response


def _is_short(problem: Problem) -> bool:
    """Whether waiting a moment helps."""
    waits = dict(problem.headers).get(b"retry-after")
    return waits is not None and int(waits) <= 60
