"""Files with all that is written down of a person, or of an account. Who asks shows who they are.

They are sent for, not looked at: a session that was left open must not take them along.
"""

from collections.abc import Iterator

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from accounts import audit, spreadsheets
from accounts.audit_sign_in import record_of_person
from accounts.current import AccountRequest, account_page, person_page
from accounts.models import User
from accounts.recent import ask_again_unless_recent
from accounts.roles import Act
from billing import own_data


@require_POST
@account_page(Act.TAKE_DATA, asks_again=True)
@never_cache
def of_account(request: AccountRequest) -> HttpResponse | StreamingHttpResponse:
    """All of the account but its use, for who owns it."""
    account = request.account
    parts = own_data.of_account(account, at=timezone.now())
    try:
        file = spreadsheets.alone(account, parts, of="data")
    except spreadsheets.CannotExport as error:
        messages.error(request, str(error))
        return redirect("close_account")
    audit.record(account, audit.Kind.PEOPLE, "data taken", by=request.user)
    return _sent(file, name=f"account-{account.handle}.json")


@require_POST
@person_page
@never_cache
def of_person(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """All that is known of whoever asks."""
    assert isinstance(request.user, User)
    ask_again_unless_recent(request)
    parts = own_data.of_person(request.user, at=timezone.now())
    try:
        file = spreadsheets.alone_for(f"person-{request.user.pk}", parts, of="data")
    except spreadsheets.CannotExport as error:
        messages.error(request, str(error))
        return redirect("security")
    record_of_person(request.user, "data taken")
    return _sent(file, name="personal-data.json")


def _sent(file: Iterator[str], *, name: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(file, content_type=own_data.JSON)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
