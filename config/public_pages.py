"""Public pages for whoever is not signed in: made once, until something that they show changes."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.translation import get_language

View = Callable[[HttpRequest], HttpResponse]

# All that such pages show, told by its content: whoever changes a row, by whatever way, changes it.
_VERSION = """
    SELECT md5(concat_ws('|',
        (SELECT string_agg(plan::text, ';' ORDER BY plan.id) FROM quotas_plan AS plan),
        (SELECT string_agg(pack::text, ';' ORDER BY pack.id) FROM quotas_pack AS pack),
        (SELECT string_agg(had::text, ';' ORDER BY had.id) FROM quotas_plan_packs AS had),
        (SELECT string_agg(policy::text, ';' ORDER BY policy.id) FROM quotas_quotapolicy AS policy),
        (SELECT string_agg(meter::text, ';' ORDER BY meter.id) FROM quotas_meter AS meter),
        (SELECT string_agg(model::text, ';' ORDER BY model.id) FROM quotas_aimodel AS model),
        (SELECT string_agg(has::text, ';' ORDER BY has.id) FROM quotas_aimodel_plans AS has),
        (SELECT string_agg(asked::text, ';' ORDER BY asked.id) FROM quotas_provider AS asked),
        (SELECT string_agg(product::text, ';' ORDER BY product.id) FROM billing_product AS product)
    ))
"""


@dataclass(frozen=True, slots=True)
class _Made:
    version: str
    body: bytes
    etag: str


# By language and path; of this process.
_made: dict[tuple[str, str], _Made] = {}


def has_session(request: HttpRequest) -> bool:
    """Whether a page is made for this one visitor, and may have a token of theirs."""
    return settings.SESSION_COOKIE_NAME in request.COOKIES


def public_page(view: View) -> Callable[[HttpRequest], HttpResponseBase]:
    """A page that is alike for everybody who has no session, and asks nothing but its address.

    Caches may keep it and ask each time whether it has changed; that costs one query.
    """

    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponseBase:
        if has_session(request):
            return view(request)
        page = _page(view, request)
        response = HttpResponse(page.body)
        response["Cache-Control"] = "no-cache"
        response["ETag"] = page.etag
        patch_vary_headers(response, ["Cookie"])
        return get_conditional_response(request, etag=page.etag, response=response) or response

    return answer


def _page(view: View, request: HttpRequest) -> _Made:
    version = _version()
    which = get_language() or "", request.path
    page = _made.get(which)
    if page is None or page.version != version:
        body = view(request).content
        page = _Made(version, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
        _made[which] = page
    return page


def _version() -> str:
    with connection.cursor() as cursor:
        cursor.execute(_VERSION)
        version: str = cursor.fetchone()[0]
        return version
