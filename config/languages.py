"""The languages of pages: which one a request is answered in, and how one is chosen.

English stands in the code; the words of the others stand in `locale/` (`config.words`). What
programs read (the API, probes, webhooks, logs) is English, and so are pages of development.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST
from django.views.i18n import set_language

from accounts.models import User
from config.public_pages import has_session

# What programs and developers read.
_IN_ENGLISH = ("/api/", "/keys/v1/", "/stripe/", "/healthz", "/readyz", "/dev/", "/styleguide")


class LanguageMiddleware:
    """Answers in the language that was chosen, or else the first of the browser's that we have.

    Whatever the process does between two requests, it does in English.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith(_IN_ENGLISH):
            return self.get_response(request)
        language = translation.get_language_from_request(request)
        with translation.override(language):
            response = self.get_response(request)
        patch_vary_headers(response, ("Accept-Language",))
        response.headers.setdefault("Content-Language", language)
        return response


# Pages that are made once for all visitors have no token of any one; whoever has a session has one
# on every page. All that another site can have a visitor do here is to read on in German.
@csrf_exempt
@require_POST
def choose_language(request: HttpRequest) -> HttpResponse:
    """Choose the language, and go on where one was. Who is signed in gets mails in it as well."""
    choose = csrf_protect(_choose) if has_session(request) else _choose
    answer: HttpResponse = choose(request)
    return answer


def _choose(request: HttpRequest) -> HttpResponse:
    chosen = request.POST.get("language", "")
    if chosen not in dict(settings.LANGUAGES):
        return render(request, "no_such_language.html", status=400)
    if isinstance(request.user, User):
        request.user.choose_language(chosen)
    return set_language(request)
