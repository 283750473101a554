"""The language that a person reads: chosen in a browser, kept with them, and the one of mails."""

from contextlib import AbstractContextManager, nullcontext

from django.conf import settings
from django.http import HttpResponseBase
from django.utils import translation

from accounts.models import User


def spoken_to(user: User | None) -> AbstractContextManager[None]:
    """Within it texts are in the person's language; as they were while nobody knows it."""
    language = (user.language or user.browser_language) if user else ""
    return translation.override(language) if language in _ours() else nullcontext()


def meet(user: User, response: HttpResponseBase) -> None:
    """At signing in: what the person chose goes on in this browser, and mails learn from it."""
    if user.language in _ours():
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            user.language,
            max_age=settings.LANGUAGE_COOKIE_AGE,
            secure=settings.LANGUAGE_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    user.note_browser_language(translation.get_language() or settings.LANGUAGE_CODE)


def _ours() -> dict[str, str]:
    return dict(settings.LANGUAGES)
