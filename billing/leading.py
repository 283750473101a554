"""Leading a browser to a page of Stripe's."""

import logging

from django.http import HttpResponse
from django.shortcuts import render

from accounts.current import AccountRequest
from billing import checkout

logger = logging.getLogger(__name__)


def lead_to(request: AccountRequest, url: str, *, name: str) -> HttpResponse:
    """By itself where browsers follow a form of ours there, otherwise by a link."""
    if not checkout.is_where_forms_may_lead(url):
        logger.error("pages of Stripe are not where STRIPE_CHECKOUT_ORIGIN or …PORTAL… says")
        return render(request, "billing/lead.html", {"url": url, "name": name})
    response = HttpResponse(status=303)
    response["Location"] = url
    return response
