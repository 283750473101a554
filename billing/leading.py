"""Leading a browser to a page of Stripe's, or back where nothing came of it."""

import logging
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from accounts.current import AccountRequest
from billing import checkout

logger = logging.getLogger(__name__)


def lead_to(
    request: AccountRequest, url: str, *, by_hand: str = "billing/lead.html", **shown: Any
) -> HttpResponse:
    """By itself where browsers follow a form of ours there, otherwise by a link.

    by_hand: the template that has the link, and is shown the rest.
    """
    if not checkout.is_where_forms_may_lead(url):
        logger.error(
            "pages of Stripe are elsewhere than STRIPE_CHECKOUT_ORIGIN and STRIPE_PORTAL_ORIGIN say"
        )
        return render(request, by_hand, {**shown, "url": url})
    response = HttpResponse(status=303)
    response["Location"] = url
    return response


def turn_back(
    request: AccountRequest, error: checkout.CannotCheckout, to: str, **names: Any
) -> HttpResponse:
    """Say why nothing was begun, where something can be done about it; `to` is a page of ours."""
    messages.error(request, str(error))
    if isinstance(error, checkout.EmailRefused):
        return redirect("account_email")
    response: HttpResponse = redirect(to, **names)
    return response
