"""Where somebody is signed in: since when, from where and with what; and how that is ended."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, update_session_auth_hash
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.audit_sign_in import record_of_person
from accounts.models import User

# Every page would write a row otherwise.
SEEN_EVERY_SECONDS = 600
_SEEN_AT = "seen_at"
_SHOWN_AT_MOST = 100
# In this order: most programs call themselves by the names of others, too.
_BROWSERS = (
    *(("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet")),
    *(("Firefox", "Firefox"), ("FxiOS", "Firefox"), ("Chrom", "Chrome"), ("CriOS", "Chrome")),
    *(("Safari", "Safari"), ("curl", "curl")),
)
_SYSTEMS = (
    *(("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows")),
    *(("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux")),
)


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A session that is still open. client: in words; agent: as the program calls itself."""

    pk: int
    began_at: datetime
    seen_at: datetime
    ip: str
    client: str
    agent: str
    is_this: bool


class SeenMiddleware:
    """Keeps when, from where and with what a session was last used, within ten minutes."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Pages that anybody sees do not ask who that is.
        own = ("/account/", "/auth/", reverse("admin:index"))
        if settings.SESSION_COOKIE_NAME in request.COOKIES and request.path.startswith(own):
            _see(request)
        return self._get_response(request)


def _see(request: HttpRequest) -> None:
    if time.time() - request.session.get(_SEEN_AT, 0) < SEEN_EVERY_SECONDS:
        return
    if not request.user.is_authenticated:
        return
    try:
        UserSession.objects.create_from_request(request)
    except PermissionDenied:
        # Nobody says from where.
        return
    request.session[_SEEN_AT] = time.time()


def open_sessions(request: HttpRequest, user: User) -> list[Visit]:
    """Those in which the user is signed in now, this one first, then by when they were used."""
    rows = list(UserSession.objects.filter(user=user).order_by("-last_seen_at")[:_SHOWN_AT_MOST])
    stored = Session.objects.filter(
        session_key__in=[row.session_key for row in rows], expire_date__gt=timezone.now()
    )
    hashes = {user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()}
    is_open = {
        session.session_key
        for session in stored
        if session.get_decoded().get(HASH_SESSION_KEY) in hashes
    }
    visits = [
        Visit(
            pk=row.pk,
            began_at=row.created_at,
            seen_at=row.last_seen_at,
            ip=row.ip,
            client=client_in_words(row.user_agent),
            agent=row.user_agent,
            is_this=row.session_key == request.session.session_key,
        )
        for row in rows
        if row.session_key in is_open
    ]
    return sorted(visits, key=lambda visit: not visit.is_this)


def end_session(*, row: UserSession, by: User) -> None:
    """Sign that browser out: its next request is a stranger's."""
    with transaction.atomic():
        client = client_in_words(row.user_agent)
        row.end()
        record_of_person(by, "session ended", thing=f"{client}, {row.ip}")


def end_other_sessions(request: HttpRequest, user: User) -> None:
    """Sign every other browser out, also those that are not known by a row."""
    with transaction.atomic():
        user.begin_sessions_anew()
        UserSession.objects.filter(user=user).exclude(
            session_key=request.session.session_key
        ).delete()
        record_of_person(user, "other sessions ended")
    # This one goes on, under another number.
    update_session_auth_hash(request, user)
    UserSession.objects.create_from_request(request)


def client_in_words(agent: str) -> str:
    """What a program seems to be: anybody may call themselves anything."""
    browser = next((name for part, name in _BROWSERS if part in agent), "")
    system = next((name for part, name in _SYSTEMS if part in agent), "")
    if browser and system:
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    return browser or system or agent[:40] or _("Unknown program")
