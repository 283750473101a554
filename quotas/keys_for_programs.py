"""/api/v1/keys: a program manages its account's keys, by a key that has the scope keys:manage.

The site answers it, because it writes PostgreSQL (docs/decisions/0024), and stands in this room
because the gate says whose key it is. Such a key never calls a model, and gives no key more than
its account has: none that manages keys, and of those that do it touches none but to revoke itself.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import wraps
from typing import Any
from uuid import UUID, uuid4, uuid5

from django.core.exceptions import ValidationError
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, QueryDict, UnreadablePostError
from django.utils import timezone
from django.utils.translation import gettext_lazy, override
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables
from msgspec import Struct
from redis.exceptions import RedisError

from accounts.acting import Acting, Via, acting, acting_now
from accounts.json_answers import json_answer, refused
from accounts.models import Account
from accounts.names import NameFormField
from accounts.paging import CannotReadPlace, Place, page_of
from accounts.rate import Rate
from gate.service import strict_json
from gate.service.checking import first_misfit, members_of, require_no_secret
from gate.service.http import Problem, invalid
from gate.service.key_shapes import KeyChanges, NewKey, Revocation, Rotation
from gate.service.refusals import unavailable
from gate.terms import addresses
from gate.terms.redaction import holds_secret, shown
from gate.terms.week import utc_text
from keys import scopes
from keys.allowed import allowed_for
from keys.edit import CannotEdit, edit_api_key, switch_api_key
from keys.forms import ENVIRONMENT_LONGEST
from keys.issue import AlreadyIssued, CannotIssueKey, issue_api_key
from keys.limits import CAPS, KeyLimits
from keys.listing import KeyFilter
from keys.models import ApiKey
from keys.projection import CannotConfirm
from keys.revoke import revoke_api_key
from keys.rotate import STAYS, AlreadyRotated, CannotRotate, rotate_api_key
from quotas.models.plans import Meter
from quotas.programs import key_of

logger = logging.getLogger(__name__)

READS = Rate("keys-read", at_most=300, within_seconds=60)
WRITES = Rate("keys-write", at_most=60, within_seconds=60)
BODY_AT_MOST, PAGE_AT_MOST, PAGE_USUALLY = 64 * 1024, 100, 50
_TOKEN_AT_MOST = 255
_LAST_YEAR = 2200
_NAME = NameFormField(longest=80)
_NUMBERS = (*CAPS, "requests_a_minute", "requests_at_once")
_ENVIRONMENT = NameFormField(
    longest=ENVIRONMENT_LONGEST, required=False, label=gettext_lazy("Environment")
)
# Submissions of programs are told from those of forms, and of one another.
_BY_PROGRAM = UUID("0fc6d4e2-5f0b-4a3e-9d0e-6a0c7f1b2d35")
Act = Callable[..., HttpResponse]


def _by_key(*methods: str) -> Callable[[Act], Act]:
    """Answer a program whose key manages keys, and write down what it does as done by that key."""

    def guard(act: Act) -> Act:
        @csrf_exempt
        @wraps(act)
        @sensitive_variables()
        def guarded(request: HttpRequest, **about: Any) -> HttpResponse:
            # The words for people are those of pages; the API says everything in English.
            with override("en"):
                try:
                    _require_method(request, methods)
                    program = key_of(request, scope=scopes.MANAGE_KEYS, to="manage keys")
                    _require_pace(request, program)
                    who = acting_now()
                    name = str(program)
                    with acting(Acting(Via.KEY, name=name, ip=who.ip, client=who.client)):
                        return act(request, program, **about)
                except Problem as problem:
                    return refused(problem)
                except CannotConfirm:
                    return refused(_not_confirmed())
                except (RedisError, OperationalError, InterfaceError) as error:
                    logger.warning("no keys for a program: %s", type(error).__name__)
                    return refused(unavailable())

        return guarded

    return guard


@_by_key("GET", "POST", "HEAD")
def keys(request: HttpRequest, program: ApiKey) -> HttpResponse:
    """The keys of the account, newest first, by pages; or a new one."""
    return _create(request, program) if request.method == "POST" else _list(request, program)


@_by_key("GET", "PATCH", "HEAD")
def key(request: HttpRequest, program: ApiKey, key_id: int) -> HttpResponse:
    """One key; or what is different of it."""
    found = _found(program, key_id)
    if request.method == "PATCH":
        return _change(request, program, found)
    return json_answer(_told(found))


@_by_key("POST")
def key_rotate(request: HttpRequest, program: ApiKey, key_id: int) -> HttpResponse:
    """Give a key another secret, whose text is in this one answer."""
    found = _found(program, key_id)
    if found.manages_keys:
        raise _of_people()
    asked = _read(request, Rotation, may_be_empty=True).get("old_secret_stays", "24h")
    if asked not in STAYS:
        raise invalid("old_secret_stays", "“old_secret_stays” must be 0, 1h, 24h or 7d.")
    try:
        rotated, text, is_confirmed = rotate_api_key(
            key=found,
            submission=_submission(request, program),
            stays=STAYS[asked],
            by=None,
            at=timezone.now(),
        )
    except CannotEdit:
        raise _is_revoked() from None
    except AlreadyRotated:
        raise Problem(
            409,
            "already_created",
            "This Idempotency-Key rotated the key already, and the new text was in that answer "
            "alone. If it is lost, ask again with another Idempotency-Key.",
        ) from None
    except CannotRotate as error:
        raise Problem(409, "cannot_rotate", str(error)) from None
    # Said either way: there is no second answer with the text.
    return json_answer({**_told(rotated), "key": text}, status=200 if is_confirmed else 202)


@_by_key("POST")
def key_revoke(request: HttpRequest, program: ApiKey, key_id: int) -> HttpResponse:
    """Revoke a key for good. Again changes nothing."""
    found = _found(program, key_id)
    # Whoever has a key may always have it refused.
    if found.manages_keys and found.pk != program.pk:
        raise _of_people()
    reason = _read(request, Revocation, may_be_empty=True).get("reason", "")
    require_no_secret("reason", reason)
    if not reason.isprintable():
        raise invalid("reason", "“reason” must be one line of text.")
    revoke_api_key(key=found, by=None, at=timezone.now(), note=reason)
    return json_answer(_told(_found(program, key_id)))


# --- what is asked ------------------------------------------------------------------------------


def _list(request: HttpRequest, program: ApiKey) -> HttpResponse:
    asked = request.GET
    for name in asked:
        if name not in {"after", "limit", "state", "q", "environment"}:
            raise invalid(name, f"There is no parameter “{name}” here.")
    limit = asked.get("limit", str(PAGE_USUALLY))
    if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:9]) <= PAGE_AT_MOST):
        raise invalid("limit", f"“limit” must be a whole number, 1 to {PAGE_AT_MOST}.")
    narrowed = KeyFilter(QueryDict(request.META.get("QUERY_STRING", "")), people=())
    for name, errors in narrowed.errors.items():
        raise invalid(name, str(errors[0]))
    rows = narrowed.narrow(ApiKey.objects.filter(account=program.account), at=timezone.now())
    if "environment" in asked:
        rows = rows.filter(environment=_named(asked["environment"], "environment", _ENVIRONMENT))
    place = {"after": _place(asked["after"])} if "after" in asked else {}
    page = page_of(rows.select_related("account"), place, kept={}, at_most=int(limit))
    last = page.rows[-1] if page.rows and page.older else None
    return json_answer(
        {
            "object": "list",
            "data": [_told(one) for one in page.rows],
            "next": str(Place(last.created_at, last.pk)) if last else None,
        }
    )


@sensitive_variables()
def _create(request: HttpRequest, program: ApiKey) -> HttpResponse:
    wanted = _read(request, NewKey)
    submission = _submission(request, program)
    try:
        made, text = issue_api_key(
            account=program.account,
            name=_named(wanted["name"], "name", _NAME),
            submission=submission,
            # Who answers for the program answers for what it makes.
            by=program.created_by,
            limits=_limits(wanted, KeyLimits(), program.account),
        )
    except AlreadyIssued as issued:
        raise Problem(
            409,
            "already_created",
            "This Idempotency-Key made a key already, and its text was in that answer alone. The "
            f"key has the id {issued.key.pk}: revoke it if its text is lost, and ask again with "
            "another Idempotency-Key.",
            headers=[(b"location", f"/api/v1/keys/{issued.key.pk}".encode())],
        ) from None
    except CannotIssueKey as error:
        raise Problem(409, "too_many_keys", str(error)) from None
    answer = json_answer({**_told(made), "key": text}, status=201)
    answer["Location"] = f"/api/v1/keys/{made.pk}"
    return answer


def _change(request: HttpRequest, program: ApiKey, found: ApiKey) -> HttpResponse:
    wanted = _read(request, KeyChanges)
    for name in ("name", "environment", "scopes", "addresses", "models", "enabled"):
        if name in wanted and wanted[name] is None:
            raise invalid(name, f"“{name}” must not be null.")
    if found.manages_keys:
        raise _of_people()
    is_on = wanted.pop("enabled", None)
    try:
        if wanted:
            limits = _limits(wanted, KeyLimits.of(found), program.account)
            name = _named(wanted["name"], "name", _NAME) if "name" in wanted else found.name
            edit_api_key(key=found, name=name, limits=limits, by=None)
        if is_on is not None:
            switch_api_key(key=found, is_on=is_on, by=None, at=timezone.now())
    except CannotEdit:
        raise _is_revoked() from None
    return json_answer(_told(_found(program, found.pk)))


# --- what is read -------------------------------------------------------------------------------


def _read(
    request: HttpRequest, shape: type[Struct], *, may_be_empty: bool = False
) -> dict[str, Any]:
    """The members of a body. Problem 400, 413 or 415 that names what is wrong."""
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Problem(415, "unsupported_media_type", "Send the body without compression.")
    try:
        body = request.read(BODY_AT_MOST + 1)
    except UnreadablePostError:
        raise invalid("body", "The body broke off.") from None
    if not body and may_be_empty:
        return {}
    if len(body) > BODY_AT_MOST:
        raise Problem(413, "too_large", f"The body may have at most {BODY_AT_MOST:,} bytes.")
    if request.content_type != "application/json":
        raise Problem(415, "unsupported_media_type", "Send the body as application/json.")
    try:
        said = strict_json.loads(body)
    except strict_json.NotJSON as error:
        raise invalid(error.field, str(error)) from None
    if not isinstance(said, dict):
        raise invalid("body", "The body must be a JSON object.")
    known = {member.encode_name for member in members_of(shape)}
    for name in said:
        if name not in known:
            raise invalid(name, f"There is no member “{name}” here.")
    if misfit := first_misfit(said, shape):
        raise invalid(misfit[0], f"“{misfit[0]}” {misfit[1]}.")
    return said


def _named(text: str, member: str, rule: NameFormField) -> str:
    require_no_secret(member, text)
    try:
        return str(rule.clean(text))
    except ValidationError as error:
        raise invalid(member, " ".join(error.messages)) from None


def _limits(wanted: dict[str, Any], now: KeyLimits, account: Account) -> KeyLimits:
    """What a key may do less than its account, where it is not named as it is now."""
    return replace(
        now,
        expires_at=_moment(wanted["expires_at"]) if "expires_at" in wanted else now.expires_at,
        **{name: wanted[name] for name in _NUMBERS if name in wanted},
        scopes=_scopes(wanted["scopes"], now, account) if "scopes" in wanted else now.scopes,
        addresses=_networks(wanted["addresses"]) if "addresses" in wanted else now.addresses,
        only_models=(
            _models(wanted["models"], now, account) if "models" in wanted else now.only_models
        ),
        environment=(
            _named(wanted["environment"], "environment", _ENVIRONMENT)
            if "environment" in wanted
            else now.environment
        ),
    )


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    wrong = invalid("expires_at", "“expires_at” must be a moment to come: 2027-01-31T00:00:00Z.")
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise wrong
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise wrong from None
    if not timezone.now() < moment < datetime(_LAST_YEAR, 1, 1, tzinfo=UTC):
        raise wrong
    return moment


def _scopes(wanted: list[str], now: KeyLimits, account: Account) -> tuple[str, ...]:
    if scopes.MANAGE_KEYS in wanted:
        raise Problem(
            403, "not_permitted", "Keys that manage keys are made by people, at /account/keys."
        )
    known = {*scopes.ALL, *now.scopes, *Meter.objects.values_list("slug", flat=True)}
    for scope in wanted:
        if scope not in known:
            raise invalid("scopes", f"There is no scope “{scope}”.")
    allowed = allowed_for(account)
    # What it has it keeps, for when the plan has it again.
    if lacking := [scope for scope in allowed.lacking(wanted) if scope not in now.scopes]:
        raise invalid("scopes", allowed.in_words(lacking))
    return scopes.in_order(wanted)


def _models(wanted: list[str], now: KeyLimits, account: Account) -> tuple[str, ...]:
    known = {*allowed_for(account).models, *now.only_models}
    for model in wanted:
        if model not in known:
            raise invalid("models", f"The plan has no model “{shown(model)}”.")
    return tuple(dict.fromkeys(wanted))


def _networks(wanted: list[str]) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(map(addresses.read_network, wanted)))
    except addresses.CannotReadNetwork as error:
        raise invalid("addresses", str(error)) from None


def _submission(request: HttpRequest, program: ApiKey) -> UUID:
    """What makes a repeated request harmless: for good, and apart for each program."""
    name = "Idempotency-Key"
    text = request.headers.get(name)
    if text is None:
        return uuid4()
    if not (0 < len(text) <= _TOKEN_AT_MOST and text.isascii() and text.isprintable()):
        raise invalid(name, f"“{name}” must have 1 to {_TOKEN_AT_MOST} ASCII characters.")
    if holds_secret(text):
        raise invalid(name, f"“{name}” looks like a secret.")
    return uuid5(_BY_PROGRAM, f"{program.pk}:{text}")


def _found(program: ApiKey, key_id: int) -> ApiKey:
    found = ApiKey.objects.filter(account=program.account, pk=key_id).select_related("account")
    one = found.first()
    if one is None:
        raise Problem(404, "not_found", "This account has no such key.")
    return one


def _place(text: str) -> str:
    try:
        return str(Place.read(text, model=ApiKey))
    except CannotReadPlace:
        raise invalid("after", "“after” must be the “next” of another page.") from None


def _require_method(request: HttpRequest, methods: Sequence[str]) -> None:
    if request.method not in methods:
        allow = [(b"allow", ", ".join(methods).encode())]
        raise Problem(405, "method_not_allowed", f"Use {methods[0]}.", headers=allow)


def _require_pace(request: HttpRequest, program: ApiKey) -> None:
    pace = READS if request.method in {"GET", "HEAD"} else WRITES
    if wait := pace.wait(str(program.pk)):
        raise Problem(
            429,
            "too_many_requests",
            f"A key manages keys at most {pace.at_most} times a minute so. Go on in {wait} s.",
            headers=[(b"retry-after", b"%d" % wait)],
        )


# --- what is said -------------------------------------------------------------------------------


def _of_people() -> Problem:
    return Problem(
        403,
        "not_permitted",
        "Keys that manage keys are changed by people, at /account/keys. One may revoke itself.",
    )


def _is_revoked() -> Problem:
    return Problem(409, "revoked", "This key is revoked, which is final.")


def _not_confirmed() -> Problem:
    return Problem(
        503,
        "quota_unavailable",
        "It is saved, but the gate has not confirmed it yet. Ask the same again in a few seconds.",
        headers=[(b"retry-after", b"2")],
    )


def _told(one: ApiKey) -> dict[str, Any]:
    def moment(at: datetime | None) -> str | None:
        return None if at is None else utc_text(at.replace(microsecond=0))

    ends = one.former_works_until
    return {
        "object": "key",
        "id": one.pk,
        "name": one.name,
        "environment": one.environment,
        "masked": one.masked,
        "state": _state(one),
        "scopes": one.scopes,
        **{name: getattr(one, name) for name in _NUMBERS},
        "addresses": one.addresses,
        "models": one.only_models,
        "created_at": moment(one.created_at),
        "expires_at": moment(one.expires_at),
        "old_secret": None
        if ends is None
        else {"masked": one.former_masked, "ends_at": moment(ends)},
        "last_used_at": moment(one.last_used_at),
        "disabled_at": moment(one.disabled_at),
        "revoked_at": moment(one.revoked_at),
        "revoke_reason": one.why_revoked,
    }


def _state(one: ApiKey) -> str:
    """As the list is narrowed down by it."""
    if one.revoked_at is not None:
        return "revoked"
    if one.is_expired:
        return "expired"
    return "off" if one.is_disabled else "active"
