"""POST /keys/v1/leaks: what was found of keys, by a programme that looks for secrets or by anybody.

The answer is the same whatever is true: the same words, after the same time. Nothing of a report is
logged.
"""

import logging
import threading
import time
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils import timezone
from django.utils.translation import override
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables
from redis.exceptions import RedisError

from accounts import outside
from accounts.acting import Acting, Via, acting, acting_now
from accounts.json_answers import json_answer, refused
from accounts.rate import Rate, who_is_at
from gate.service import strict_json
from gate.service.http import Problem, invalid
from keys import leaks, programmes
from keys.leaks import Find

logger = logging.getLogger(__name__)

BODY_AT_MOST, FINDS_AT_MOST, TEXT_AT_MOST = 1024 * 1024, 500, 4_096
# A programme that is known sends what all of the world published.
OF_STRANGERS = Rate("leaks", at_most=30, within_seconds=60)
OF_PROGRAMMES = Rate("leaks-signed", at_most=600, within_seconds=60)
# An answer leaves after one of these, or after two where one was not enough: revoking takes some
# milliseconds, and must not be seen in how long it took.
STEP_SECONDS = 0.25
# They wait, so few of them may wait at once in each process.
_under_way = threading.BoundedSemaphore(4)


@csrf_exempt
def report(request: HttpRequest) -> HttpResponse:
    """Take a report, revoke what is real, and say that it came."""
    with override("en"):
        try:
            return json_answer({"received": _take(request)}, status=202)
        except Problem as problem:
            return refused(problem)
        except (RedisError, OperationalError, InterfaceError) as error:
            logger.warning("a report of leaks waits: %s", type(error).__name__)
            return refused(_later(503, "unavailable", 10))


@sensitive_variables()
def _take(request: HttpRequest) -> int:
    if request.method != "POST":
        raise Problem(405, "method_not_allowed", "Use POST.", headers=[(b"allow", b"POST")])
    body = _body(request)
    who = acting_now()
    name = _known(request, body, at=who.ip)
    finds = _finds(body)
    if not _under_way.acquire(blocking=False):
        raise _later(503, "too_busy", 1)
    try:
        began = time.monotonic()
        # Nobody's session counts here.
        reporter = Acting(Via.ITSELF, name=name or who.ip, ip=who.ip, client=who.client)
        with acting(reporter):
            leaks.take_back(finds, at=timezone.now())
        outside.let_go()
        passed = time.monotonic() - began
        time.sleep(STEP_SECONDS - passed % STEP_SECONDS)
    finally:
        _under_way.release()
    return len(finds)


@sensitive_variables()
def _body(request: HttpRequest) -> bytes:
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Problem(415, "unsupported_media_type", "Send the body without compression.")
    if request.content_type != "application/json":
        raise Problem(415, "unsupported_media_type", "Send the body as application/json.")
    try:
        body: bytes = request.read(BODY_AT_MOST + 1)
    except UnreadablePostError:
        raise invalid("body", "The body broke off.") from None
    if len(body) > BODY_AT_MOST:
        raise Problem(413, "too_large", f"The body may have at most {BODY_AT_MOST:,} bytes.")
    return body


@sensitive_variables()
def _known(request: HttpRequest, body: bytes, *, at: str) -> str:
    """The programme that signed it, if any. Problem for a false signature, and for too many."""
    wait = OF_STRANGERS.wait(who_is_at(at))
    try:
        name = programmes.signer_of(request.headers, body)
    except programmes.ForgedReport:
        if wait:
            raise _later(429, "too_many_requests", wait) from None
        raise invalid(programmes.SIGNATURE, "The signature is not of this body.") from None
    if name:
        wait = OF_PROGRAMMES.wait("github")
    if wait:
        raise _later(429, "too_many_requests", wait)
    return name


@sensitive_variables()
def _finds(body: bytes) -> list[Find]:
    """What a report says. Problem that names a member, and quotes nothing of it."""
    try:
        said = strict_json.loads(body)
    except strict_json.NotJSON:
        raise invalid("body", "The body is not valid JSON.") from None
    rows: list[Any] = said if isinstance(said, list) else [said]
    if len(rows) > FINDS_AT_MOST:
        raise Problem(
            413, "too_large", f"A report may have at most {FINDS_AT_MOST} finds. Send several."
        )
    return [_find(row) for row in rows]


@sensitive_variables()
def _find(row: object) -> Find:
    if not isinstance(row, dict):
        raise invalid(
            "body", "Send a list of objects with a token each, or one such object: see /docs/leaks."
        )
    text = row.get("token")
    if not isinstance(text, str) or not text:
        raise invalid("token", "“token” must be the text that was found.")
    if len(text) > TEXT_AT_MOST:
        raise invalid("token", f"“token” may have at most {TEXT_AT_MOST:,} characters.")
    return Find(text, leaks.readable_address(row.get("url")))


def _later(status: int, code: str, seconds: int) -> Problem:
    return Problem(
        status,
        code,
        f"Send this report again in {seconds} s.",
        headers=[(b"retry-after", b"%d" % seconds)],
    )


assert BODY_AT_MOST < settings.DATA_UPLOAD_MAX_MEMORY_SIZE
