"""GET /api/v1/usage: what an account used, for programs, by an API key with the scope usage:read.

Of the public API this alone is answered by the site: reading a year takes longer than many checks,
and nothing may take the time of the gate (docs/decisions/0024). What an address asks for is what
it asks of the usage page.
"""

import logging
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import override
from django.views.decorators.cache import never_cache
from redis.exceptions import RedisError

from accounts.json_answers import json_answer, refused
from accounts.models import Account
from gate.service.http import Problem, invalid
from gate.service.refusals import unavailable
from gate.terms.week import utc_text
from keys.listing import keys_told_by
from keys.models import ApiKey
from keys.scopes import READ_USAGE
from quotas.programs import key_of
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
    key = key_of(request, scope=READ_USAGE, to="read usage")
    account = key.account
    utc = ZoneInfo("UTC")
    question = reading.read(request.GET, account=account, zone=utc, at=timezone.now())
    for name, words in question.errors.items():
        raise invalid(name, words)
    return _told(account, question, keys=keys_told_by(key))


def _told(account: Account, question: Question, *, keys: QuerySet[ApiKey]) -> dict[str, Any]:
    seen = live.look(account, question.span, by=question.by, only=question.only)
    if not seen.is_exact:
        # A program would take what is missing for what was not used.
        raise unavailable()
    report, span = seen.report, question.span
    parts = page.named_parts(keys, question.by, report)
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
