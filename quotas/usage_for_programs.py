"""GET /api/v1/usage: what an account used, for programs, by an API key with the scope usage:read.

Of the public API this alone is answered by the site: reading a year takes longer than many checks,
and nothing may take the time of the gate (docs/decisions/0024). What an address asks for is what
it asks of the usage page.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import override
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from redis.exceptions import RedisError

from accounts.json_answers import json_answer, refused
from accounts.models import Account
from gate.service.http import (
    Problem,
    bearer_token,
    forwarded_address,
    invalid,
)
from gate.service.refusals import invalid_key, unavailable
from gate.store import charges, snapshots
from gate.store.charges import Answer
from gate.terms import key_text
from gate.terms.addresses import known_to_hex
from gate.terms.reasons import Reason
from gate.terms.week import utc_text
from keys.models import ApiKey
from keys.scopes import READ_USAGE
from quotas.standing import answer_to
from quotas.usage import live, page, reading
from quotas.usage.reading import Question

logger = logging.getLogger(__name__)


@never_cache
def usage(request: HttpRequest) -> HttpResponse:
    """The report of a span, as JSON. Problems as every address of the API answers them."""
    # The words for people are the page's; the API says everything in English.
    with override("en"):
        try:
            return json_answer(_answer(request))
        except Problem as problem:
            return refused(problem)
        except (RedisError, OperationalError, InterfaceError) as error:
            logger.warning("no usage for a program: %s", type(error).__name__)
            return refused(unavailable())


def _answer(request: HttpRequest) -> dict[str, Any]:
    if request.method not in {"GET", "HEAD"}:
        raise Problem(405, "method_not_allowed", "Use GET.", headers=[(b"allow", b"GET, HEAD")])
    account = _account_of(request)
    utc = ZoneInfo("UTC")
    question = reading.read(request.GET, account=account, zone=utc, at=timezone.now())
    for name, words in question.errors.items():
        raise invalid(name, words)
    return _told(account, question)


@sensitive_variables("key")
def _account_of(request: HttpRequest) -> Account:
    """Whose key a request has. Problem for one that may not read usage."""
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in request.headers.items()
    ]
    key = bearer_token(headers)
    if key is None:
        raise invalid_key()
    try:
        handle = key_text.handle_of(key)
        digests = snapshots.hot_digests(key_text.digests(key, settings.KEY_PEPPERS))
    except key_text.MalformedKey:
        raise invalid_key() from None
    account = Account.objects.filter(handle=handle).first()
    if account is None:
        raise invalid_key()
    hops = settings.TRUSTED_PROXIES
    address = forwarded_address(headers, hops=hops) if hops else request.META.get("REMOTE_ADDR")
    answer = _look(account, digests, address=known_to_hex(address))
    if answer.status == Reason.INVALID_KEY:
        raise invalid_key()
    found = ApiKey.objects.filter(pk=answer.key_id, account=account).first()
    if found is None or not found.reads_usage:
        raise Problem(
            403,
            "not_permitted",
            f"This key may not read usage: it lacks the scope {READ_USAGE}. Make one that has it "
            "at /account/keys.",
        )
    return account


def _look(account: Account, digests: Sequence[str], *, address: str) -> Answer:
    """What the gate says of a key; nothing is charged. Problem 503 when it says nothing."""
    call = charges.check_call(
        handle=account.handle,
        digests=digests,
        meter="chat",
        units=0,
        request_id=None,
        address=address,
    )
    answer = answer_to(account, call)
    if answer is None:
        raise unavailable()
    return answer


def _told(account: Account, question: Question) -> dict[str, Any]:
    seen = live.look(account, question.span, by=question.by, only=question.only)
    if not seen.is_exact:
        # A program would take what is missing for what was not used.
        raise unavailable()
    report, span = seen.report, question.span
    parts = page.named_parts(account, question.by, report)
    return {
        "object": "usage",
        "account": account.handle,
        "starts_at": utc_text(span.starts_at),
        "ends_at": utc_text(span.ends_at),
        "zone": span.zone.key,
        "chats": report.total,
        "credits": report.credits,
        "bars": [
            {
                "starts_at": _here(bar.starts_at, span.zone),
                "chats": report.of_bar(number),
                **{
                    source: chats
                    for source, chats in report.by_bar.get(number, {}).items()
                    if source
                },
                "refused": sum(report.refused.get(number, {}).values()),
            }
            for number, bar in enumerate(span.bars)
        ],
        "by": question.by,
        "parts": [
            {"id": part, "name": name, "chats": chats, "credits": credits}
            for part, name, chats, credits in parts
        ],
        "others": report.rest,
        "refused": dict(report.refusals),
        "tokens": [
            {
                "model": model,
                "answers": told.answers,
                "tokens_in": told.tokens_in,
                "tokens_out": told.tokens_out,
            }
            for model, told in sorted(report.tokens.items())
        ],
        "as_of": utc_text(datetime.now(UTC).replace(microsecond=0)),
    }


def _here(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).isoformat()
