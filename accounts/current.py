"""Which account a request is about."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.models import Account, User


class AccountRequest(HttpRequest):
    """A request of a signed-in user on behalf of an account."""

    user: User
    account: Account


def account_required(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Guard a view: the user is signed in and `request.account` is one of theirs.

    Until there are team pages that is the personal account. Who was taken out of theirs has none.
    """

    @wraps(view)
    @login_required
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        account_request = cast("AccountRequest", request)
        try:
            account_request.account = account_request.user.personal_account
        except Account.DoesNotExist:
            return render(request, "account/no_account.html", status=403)
        return view(account_request, *args, **kwargs)

    return guarded
