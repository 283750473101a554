"""Which account a request is about, and what its visitor may do there.

The only place that chooses: pages say what they do (`account_page`) and are given the account. The
session says which one was chosen, and the memberships, read at every request, whether it still is
the visitor's. Every form says for which account it was opened (`account_form` puts that into it):
what was opened for one account is never done for another.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account, Membership, User
from accounts.recent import ask_again_unless_recent
from accounts.roles import Act, may

View = Callable[..., HttpResponse | StreamingHttpResponse]

# What a form says of the account that it was opened for, and what a script of a page says.
FORM_FIELD, HEADER = "for_account", "X-For-Account"
_SESSION = "account"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class AccountRequest(HttpRequest):
    """A request of a member on behalf of an account."""

    user: User
    account: Account
    membership: Membership


def memberships_of(request: HttpRequest) -> list[Membership]:
    """The visitor's places in accounts, their own first; looked up once for each request."""
    known = vars(request)
    if "memberships" not in known:
        user = getattr(request, "user", None)
        known["memberships"] = user.places() if isinstance(user, User) else []
    found: list[Membership] = known["memberships"]
    return found


def membership_of(request: HttpRequest) -> Membership | None:
    """The visitor's place in the account that they act for.

    None for who has not signed in, and for who is a member of nothing. Who was taken out of the
    account that they acted for acts for another one of theirs from now on, and is told so.
    """
    known = vars(request)
    if "membership" not in known:
        known["membership"] = _chosen(request, memberships_of(request))
    membership: Membership | None = known["membership"]
    return membership


def closed_places_of(request: HttpRequest) -> list[Membership]:
    """Their places in accounts that were closed, the latest first: they lead nowhere."""
    if not isinstance(request.user, User):
        return []
    closed = Membership.objects.filter(user_id=request.user.pk, account__closed_at__isnull=False)
    found = closed.select_related("account", "account__closed_by")
    return list(found.order_by("-account__closed_at", "pk"))


def choose(request: HttpRequest, handle: str) -> Membership | None:
    """Act for this account from now on; None, and nothing is changed, for who is no member."""
    for membership in memberships_of(request):
        if membership.account.handle == handle:
            request.session[_SESSION] = handle
            vars(request)["membership"] = membership
            return membership
    return None


def forget_memberships(request: HttpRequest) -> None:
    """After the visitor joined or left an account: the next look is a new one."""
    for name in ("memberships", "membership"):
        vars(request).pop(name, None)


def _chosen(request: HttpRequest, places: list[Membership]) -> Membership | None:
    handle = _handle_in(request)
    for membership in places:
        if membership.account.handle == handle:
            return membership
    instead = places[0] if places else None
    if handle and getattr(request, "user", None) and request.user.is_authenticated:
        if instead is None:
            del request.session[_SESSION]
            return None
        # It stays chosen: forms of pages that are open still have to say whom they mean.
        request.session[_SESSION] = instead.account.handle
        if Account.objects.filter(handle=handle, closed_at__isnull=False).exists():
            said = _(
                "The account that you used is closed. This is “%(account)s”, another one of yours."
            )
        else:
            said = _(
                "You are no longer a member of the account that you used. This is "
                "“%(account)s”, another one of yours."
            )
        messages.warning(request, said % {"account": instead.account.name})
    return instead


def _handle_in(request: HttpRequest) -> str:
    session = getattr(request, "session", None)
    return "" if session is None else str(session.get(_SESSION, ""))


def no_account(request: HttpRequest) -> HttpResponse:
    """What is said to who is a member of no account that is open."""
    at = timezone.now()
    closed = [(place, place.account.may_be_reopened(at=at)) for place in closed_places_of(request)]
    return render(request, "account/no_account.html", {"closed": closed}, status=403)


def _meant_for(request: HttpRequest, account: Account) -> str:
    """The handle of the account that the page was opened for that this comes from; "" is unknown.

    A form that does not say it is of a page from before there were several; it is taken as meant
    for the account that there was, unless somebody has chosen one since.
    """
    said = request.headers.get(HEADER)
    if request.method not in _SAFE:
        said = request.POST.get(FORM_FIELD, said)
        if said is None and _handle_in(request):
            return ""
    return account.handle if said is None else said


def account_page(act: Act, *, asks_again: bool = False) -> Callable[[View], View]:
    """Guard a view that does `act` for an account.

    Its request is an AccountRequest: signed in, a member, and allowed to by their role. Others are
    led to the sign-in page, told that they have no account, or refused with 403; what was opened
    for another account with 409. asks_again: what is sent to it is done for who has shown just now
    that it is they, and for others once they have.
    """

    def guard(view: View) -> View:
        @wraps(view)
        @login_required
        def guarded(
            request: HttpRequest, *args: Any, **kwargs: Any
        ) -> HttpResponse | StreamingHttpResponse:
            membership = membership_of(request)
            if membership is None:
                return no_account(request)
            handle = _meant_for(request, membership.account)
            if handle != membership.account.handle:
                places = memberships_of(request)
                meant = next((place for place in places if place.account.handle == handle), None)
                context = {"meant": meant}
                return render(request, "account/another_account.html", context, status=409)
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
