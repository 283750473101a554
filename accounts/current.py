"""Which account a request is about, and what its visitor may do there.

The only place that chooses: pages say what they do (`account_page`) and are given the account.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from accounts.models import Account, Membership, User
from accounts.recent import ask_again_unless_recent
from accounts.roles import Act, may

View = Callable[..., HttpResponse | StreamingHttpResponse]


class AccountRequest(HttpRequest):
    """A request of a member on behalf of an account."""

    user: User
    account: Account
    membership: Membership


def membership_of(request: HttpRequest) -> Membership | None:
    """The visitor's place in the account that they act for, looked up once for each request.

    None for who has not signed in, and for who was taken out of the account that they used. Until
    there are team pages that account is the personal one.
    """
    known = vars(request)
    if "membership" not in known:
        user = getattr(request, "user", None)
        known["membership"] = user.personal_membership if isinstance(user, User) else None
    membership: Membership | None = known["membership"]
    return membership


def account_page(act: Act, *, asks_again: bool = False) -> Callable[[View], View]:
    """Guard a view that does `act` for an account.

    Its request is an AccountRequest: signed in, a member, and allowed to by their role. Others are
    led to the sign-in page, told that they have no account, or refused with 403. asks_again: what
    is sent to it is done for who has shown just now that it is they, and for others once they have.
    """

    def guard(view: View) -> View:
        @wraps(view)
        @login_required
        def guarded(
            request: HttpRequest, *args: Any, **kwargs: Any
        ) -> HttpResponse | StreamingHttpResponse:
            membership = membership_of(request)
            if membership is None:
                return render(request, "account/no_account.html", status=403)
            if not may(membership, act):
                raise PermissionDenied
            if asks_again:
                ask_again_unless_recent(request)
            account_request = cast("AccountRequest", request)
            account_request.account = membership.account
            return view(account_request, *args, **kwargs)

        guarded.act = act  # type: ignore[attr-defined]
        guarded.asks_again = asks_again  # type: ignore[attr-defined]
        return guarded

    return guard


def person_page(view: View) -> View:
    """Guard a view about the person who is signed in, whatever account they act for, or none."""
    guarded: View = login_required(view)
    guarded.is_of_a_person = True  # type: ignore[attr-defined]
    return guarded


def act_of(view: View) -> Act | None:
    """What a view does for an account; None where it is no page of an account."""
    return getattr(view, "act", None)


def asks_again(view: View) -> bool:
    """Whether a view does what is sent to it only for who has shown just now that it is they."""
    return getattr(view, "asks_again", False)


def is_of_a_person(view: View) -> bool:
    """Whether a view is about its visitor alone."""
    return getattr(view, "is_of_a_person", False)
