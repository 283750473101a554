"""What a reader asks for in an address or a form: read once, for the page, exports and the API.

An address says all of it, so that a view can be kept and sent on. What cannot be read is told by
the name of its field, and the rest is as if it had not been said.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from accounts.models import Account
from keys.models import ApiKey
from quotas.models.used import Source, UsageTag
from quotas.usage import spans
from quotas.usage.asked import By, Only
from quotas.usage.spans import Named, Span

OTHER_TAGS = "(other)"
_PARTS = (By.KEY, By.MEMBER, By.TAG, By.MODEL)
_NUMBER = re.compile(r"[0-9]{1,18}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LONGEST = {By.METER: 50, By.MODEL: 128, By.TAG: 64}


@dataclass(slots=True)
class Question:
    """What is asked for. said: what of it stood in the address, to be said again.

    errors: by field, what could not be read and what to do.
    """

    span: Span
    by: By = By.KEY
    only: Only = field(default_factory=Only)
    page: int = 1
    said: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def zone(self) -> ZoneInfo:
        """The reader's."""
        return self.span.zone

    def address(self, **changes: object) -> str:
        """The same question with some fields changed, or without those that are None."""
        said = {name: value for name, value in self.said.items() if name != "page"}
        for name, value in changes.items():
            said.pop(name, None)
            if value is not None:
                said[name] = str(value)
        return "?" + urlencode(said)


def read(params: Mapping[str, str], *, account: Account, zone: ZoneInfo, at: datetime) -> Question:
    """What an address asks for; `zone` where it names none. Of every field the last one counts."""
    errors: dict[str, str] = {}
    said = {name: params[name].strip() for name in _FIELDS if params.get(name, "").strip()}
    if "zone" in said:
        zone = _zone(said["zone"], errors) or zone
    span = _span(said, zone=zone, at=at, errors=errors)
    only = _only(said, account=account, errors=errors)
    by = _one_of(By, said.get("by"), "by", errors) or (By.SOURCE if only.part else By.KEY)
    if only.part is not None and by in _PARTS:
        words = _("Of one %(part)s use is told apart by source or meter.")
        errors["by"] = words % {"part": only.part}
        by = By.SOURCE
    page = 1
    if "page" in said:
        if _NUMBER.fullmatch(said["page"]) and int(said["page"]) > 0:
            page = int(said["page"])
        else:
            errors["page"] = _("“page” is a whole number from 1.")
    kept = {name: value for name, value in said.items() if name not in errors}
    return Question(span=span, by=by, only=only, page=page, said=kept, errors=errors)


_FIELDS = ("span", "week", "from", "to", "zone", "by", "page", "source", "meter", *_PARTS)


def zone_of(name: str) -> ZoneInfo | None:
    """A zone by its name; None where there is none."""
    return ZoneInfo(name) if name in spans.zone_names() else None


def _zone(name: str, errors: dict[str, str]) -> ZoneInfo | None:
    zone = zone_of(name)
    if zone is None:
        errors["zone"] = _("There is no such time zone. They are called as Europe/Berlin.")
    return zone


def _one_of(kind: Any, value: str | None, name: str, errors: dict[str, str]) -> Any:
    if value is None:
        return None
    try:
        return kind(value)
    except ValueError:
        words = _("“%(field)s” is one of %(choices)s.")
        errors[name] = words % {"field": name, "choices": ", ".join(kind)}
        return None


def _span(said: Mapping[str, str], *, zone: ZoneInfo, at: datetime, errors: dict[str, str]) -> Span:
    if "from" in said or "to" in said:
        span = _days(said, zone=zone, at=at, errors=errors)
        if span is not None:
            return span
    elif "week" in said:
        monday = _date(said["week"], "week", errors)
        if monday is not None:
            begins = datetime.combine(monday, time.min, UTC)
            if monday.weekday():
                errors["week"] = _("“week” is the Monday that a quota week begins on.")
            elif not _is_within(monday, at):
                errors["week"] = _not_kept()
            else:
                return spans.quota_weeks(1, zone=zone, at=begins)
    which = _one_of(Named, said.get("span"), "span", errors) or Named.WEEK
    return spans.named(which, zone=zone, at=at)


def _days(
    said: Mapping[str, str], *, zone: ZoneInfo, at: datetime, errors: dict[str, str]
) -> Span | None:
    first = _date(said["from"], "from", errors) if "from" in said else None
    last = _date(said["to"], "to", errors) if "to" in said else None
    for name, day in (("from", first), ("to", last)):
        if day is not None and not _is_within(day, at):
            errors[name] = _not_kept()
    if errors.keys() & {"from", "to"}:
        return None
    last = last or max(at.astimezone(zone).date(), first or date.min)
    first = first or last
    if last < first:
        errors["to"] = _("“to” is before “from”. Turn them round.")
        return None
    if (last - first).days >= spans.LONGEST_DAYS:
        words = _("A span has %(days)s days at most. Choose a shorter one.")
        errors["to"] = words % {"days": spans.LONGEST_DAYS}
        return None
    return spans.days(first, last, zone=zone)


def _not_kept() -> str:
    words = _("Choose a day from %(year)s to the end of next year.")
    return words % {"year": spans.FIRST_DATE.year}


def _is_within(day: date, at: datetime) -> bool:
    return spans.FIRST_DATE <= day <= date(at.year + 1, 12, 31)


def _date(value: str, name: str, errors: dict[str, str]) -> date | None:
    try:
        return date.fromisoformat(value) if _DATE.fullmatch(value) else _no_date()
    except ValueError:
        words = _("“%(field)s” is a day as %(example)s.")
        errors[name] = words % {"field": name, "example": date(2026, 3, 29).isoformat()}
        return None


def _no_date() -> date:
    raise ValueError


def _only(said: Mapping[str, str], *, account: Account, errors: dict[str, str]) -> Only:
    source = _one_of(Source, said.get("source"), "source", errors)
    for by, longest in _LONGEST.items():
        if len(said.get(by, "")) > longest or "\0" in said.get(by, ""):
            words = _("“%(field)s” has %(count)s characters at most, and no signs that are unseen.")
            errors[by] = words % {"field": by, "count": longest}
    asked = [by for by in _PARTS if by in said and by not in errors]
    if len(asked) > 1:
        words = _("Choose one of %(fields)s: use is not kept by both.")
        errors[asked[1]] = words % {"fields": ", ".join(asked)}
    only = Only(source=source, meter=None if By.METER in errors else said.get(By.METER))
    if not asked:
        return only
    by = asked[0]
    if by is By.MODEL and source is not None:
        errors["source"] = _("What paid is not kept by model. Take one of both away.")
        only = replace(only, source=None)
    try:
        return replace(only, **_READ[by](account, said[by]))
    except _NotThere as error:
        errors[by] = str(error)
        return only


class _NotThere(LookupError):
    """What is asked for is not the account's."""


def _key(account: Account, value: str) -> dict[str, Any]:
    if _NUMBER.fullmatch(value) and ApiKey.objects.filter(pk=value, account=account).exists():
        return {"key": int(value)}
    raise _NotThere(_("This account has no such key."))


def _member(account: Account, value: str) -> dict[str, Any]:
    if _NUMBER.fullmatch(value):
        return {"member": int(value)}
    raise _NotThere(_("“member” is the number of a member of this account."))


def _tag(account: Account, value: str) -> dict[str, Any]:
    if value == OTHER_TAGS:
        return {"tag": "", "tag_id": 0}
    tag = UsageTag.objects.filter(account=account, name=value).first()
    if tag is None:
        raise _NotThere(_("No request of this account had this tag."))
    return {"tag": tag.name, "tag_id": tag.pk}


def _model(account: Account, value: str) -> dict[str, Any]:
    return {"model": value}


_READ = {By.KEY: _key, By.MEMBER: _member, By.TAG: _tag, By.MODEL: _model}
