"""/account/keys: make, list, change, rotate, switch and revoke keys."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.current import AccountRequest, account_page
from accounts.paging import page_of
from accounts.roles import Act, may
from keys import listing, sightings
from keys.allowed import allowed_for
from keys.edit import CannotEdit, edit_api_key, switch_api_key
from keys.forms import EditKeyForm, NewKeyForm, RevokeForm, RotateForm
from keys.issue import AlreadyIssued, CannotIssueKey, issue_api_key
from keys.listing import (
    KeyFilter,
    at_most_counted,
    environments_of,
    keys_changed_by,
    keys_seen_by,
    people_of,
)
from keys.models import ApiKey
from keys.projection import CannotConfirm
from keys.revoke import revoke_api_key
from keys.rotate import STAYS, AlreadyRotated, CannotRotate, end_former_secret, rotate_api_key
from keys.snippets import snippets_for

# The last of them; whoever looks for a stranger needs no more.
_NETWORKS_SHOWN = 10
_FINAL = gettext_lazy("This key is revoked, which is final: nothing was changed.")
_SAVED_NOT_CONFIRMED = gettext_lazy(
    "It is saved, but the gate has not confirmed it yet. It is repeated every second; until then "
    "the key may still be as it was."
)


@require_GET
@account_page(Act.SEE_KEYS)
@never_cache
def key_list(request: AccountRequest) -> HttpResponse:
    """The account's keys: those that are asked for, in the order that is, by pages."""
    return _list(request, _new_key_form(request), status=200)


@require_http_methods(["GET", "POST"])
@account_page(Act.CHANGE_KEYS, asks_again=True)
@never_cache
def key_create(request: AccountRequest) -> HttpResponse:
    """Make a key and show it, this once, in the answer to the POST itself.

    Whoever comes back to it otherwise, after they were asked who they are, finds the list.
    """
    if request.method == "GET":
        return redirect("keys")
    form = _new_key_form(request, request.POST)
    if not form.is_valid():
        return _list(request, form, status=422)
    shown: list[HttpResponse] = []

    @sensitive_variables("plaintext")
    def show(key: ApiKey, plaintext: str) -> None:
        context = {"key": key, "plaintext": plaintext, "snippets": snippets_for(plaintext)}
        shown.append(render(request, "keys/created.html", context, status=201))

    try:
        issue_api_key(
            account=request.account,
            name=form.cleaned_data["name"],
            submission=form.cleaned_data["submission"],
            by=request.user,
            limits=form.limits(at=timezone.now()),
            show=show,
        )
    except AlreadyIssued as issued:
        return render(request, "keys/already_created.html", {"key": issued.key}, status=409)
    except CannotIssueKey as error:
        form.add_error(None, str(error))
        return _list(request, form, status=422)
    return shown[0]


@require_http_methods(["GET", "POST"])
@account_page(Act.CHANGE_KEYS)
@never_cache
def key_revoke(request: AccountRequest, key_id: int) -> HttpResponse:
    """Ask before revoking a key; the POST revokes it."""
    key = _changeable(request, key_id)
    if request.method == "GET":
        return render(request, "keys/revoke.html", {"key": key, "form": RevokeForm()})
    form = RevokeForm(request.POST)
    if not form.is_valid():
        return render(request, "keys/revoke.html", {"key": key, "form": form}, status=422)
    try:
        revoke_api_key(key=key, by=request.user, at=timezone.now(), note=form.cleaned_data["note"])
    except CannotConfirm:
        messages.warning(
            request,
            _(
                "“%(name)s” is being revoked, but the gate has not confirmed it yet. "
                "It is repeated every second; until then the key may still work."
            )
            % {"name": key.name},
        )
    else:
        revoked = _("“%(name)s” is revoked. Requests with it are refused.") % {"name": key.name}
        messages.success(request, revoked)
    return redirect("keys")


@require_http_methods(["GET", "POST"])
@account_page(Act.CHANGE_KEYS)
@never_cache
def key_edit(request: AccountRequest, key_id: int) -> HttpResponse:
    """What a key is called and may do; the POST changes it."""
    key = _changeable(request, key_id)
    sent = request.POST if request.method == "POST" else None
    allowed = allowed_for(request.account)
    form = EditKeyForm(sent, key=key, may_manage=_may_manage(request), allowed=allowed)
    if not form.is_valid():
        networks = sightings.networks_of(key, at_most=_NETWORKS_SHOWN)
        context = {"key": key, "form": form, "networks": networks}
        status = 422 if form.is_bound else 200
        return render(request, "keys/edit.html", context, status=status)
    try:
        has_changed = edit_api_key(
            key=key,
            name=form.cleaned_data["name"],
            limits=form.limits(at=timezone.now()),
            by=request.user,
        )
    except CannotEdit:
        messages.error(request, str(_FINAL))
    except CannotConfirm:
        messages.warning(request, str(_SAVED_NOT_CONFIRMED))
    else:
        if has_changed:
            messages.success(request, _("Saved. It counts for the very next request."))
        else:
            messages.info(request, _("Nothing was changed: it was so already."))
        for words in form.in_vain():
            messages.info(request, words)
    return redirect("key_edit", key.pk)


@require_POST
@account_page(Act.CHANGE_KEYS)
@never_cache
def key_switch(request: AccountRequest, key_id: int) -> HttpResponse:
    """Switch a key off for a while, or on again."""
    key = _changeable(request, key_id)
    wanted = request.POST.get("on")
    if wanted not in {"true", "false"}:
        messages.error(request, _("The form was incomplete. Nothing was changed; try again."))
        return redirect("key_edit", key.pk)
    try:
        switch_api_key(key=key, is_on=wanted == "true", by=request.user, at=timezone.now())
    except CannotEdit:
        messages.error(request, str(_FINAL))
    except CannotConfirm:
        messages.warning(request, str(_SAVED_NOT_CONFIRMED))
    else:
        if wanted == "true" and key.is_expired:
            said = _("“%(name)s” is on, but it has expired: give it a later end.")
        elif wanted == "true":
            said = _("“%(name)s” is on. Requests with it are accepted.")
        else:
            said = _("“%(name)s” is off. Requests with it are refused until you switch it on.")
        messages.success(request, said % {"name": key.name})
    return redirect("key_edit", key.pk)


@require_http_methods(["GET", "POST"])
@account_page(Act.CHANGE_KEYS, asks_again=True)
@never_cache
def key_rotate(request: AccountRequest, key_id: int) -> HttpResponse:
    """Give a key another secret and show it, this once, in the answer to the POST itself."""
    key = _changeable(request, key_id)
    # Who may not make such a key gets the secret of none.
    if key.manages_keys and not _may_manage(request):
        raise PermissionDenied
    form = RotateForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        status = 422 if form.is_bound else 200
        return render(request, "keys/rotate.html", {"key": key, "form": form}, status=status)
    shown: dict[bool, HttpResponse] = {}

    @sensitive_variables("plaintext")
    def show(rotated: ApiKey, plaintext: str) -> None:
        context = {"key": rotated, "plaintext": plaintext, "snippets": snippets_for(plaintext)}
        context["is_rotated"] = True
        # Whether the gate knows it turns out when there is no way back.
        for is_confirmed in (True, False):
            context["is_confirmed"] = is_confirmed
            shown[is_confirmed] = render(request, "keys/created.html", context, status=201)

    try:
        *_rotated, is_confirmed = rotate_api_key(
            key=key,
            submission=form.cleaned_data["submission"],
            stays=STAYS[form.cleaned_data["stays"]],
            by=request.user,
            at=timezone.now(),
            show=show,
        )
    except CannotEdit:
        messages.error(request, str(_FINAL))
    except AlreadyRotated:
        messages.warning(
            request,
            _(
                "The same form arrived twice. The new secret was shown the first time: if it is "
                "lost, rotate the key once more."
            ),
        )
    except CannotRotate as error:
        messages.error(request, str(error))
    except CannotConfirm:
        messages.warning(
            request,
            _(
                "The key has no new secret yet: the gate has not confirmed how it is now. Try "
                "again in a few seconds."
            ),
        )
    else:
        return shown[is_confirmed]
    return redirect("key_edit", key.pk)


@require_POST
@account_page(Act.CHANGE_KEYS)
@never_cache
def key_former_end(request: AccountRequest, key_id: int) -> HttpResponse:
    """End the secret that a key had before its last one."""
    key = _changeable(request, key_id)
    try:
        was_valid = end_former_secret(key=key, by=request.user, at=timezone.now())
    except CannotEdit:
        messages.error(request, str(_FINAL))
    except CannotConfirm:
        messages.warning(request, str(_SAVED_NOT_CONFIRMED))
    else:
        if was_valid:
            messages.success(request, _("The old secret has ended. Requests with it are refused."))
        else:
            messages.info(request, _("No old secret works any more: nothing was changed."))
    return redirect("key_edit", key.pk)


def _changeable(request: AccountRequest, key_id: int) -> ApiKey:
    """A key that the visitor may change. Raises Http404."""
    keys = keys_changed_by(request.membership).select_related("account", "created_by")
    return get_object_or_404(keys, pk=key_id)


def _new_key_form(request: AccountRequest, sent: QueryDict | None = None) -> NewKeyForm:
    allowed = allowed_for(request.account)
    return NewKeyForm(sent, may_manage=_may_manage(request), allowed=allowed)


def _may_manage(request: AccountRequest) -> bool:
    """Whether the visitor may let keys manage keys."""
    return may(request.membership, Act.LET_KEYS_MANAGE)


def _list(request: AccountRequest, form: NewKeyForm, *, status: int) -> HttpResponse:
    """The form for a new key above a page of those that there are."""
    sees_all = may(request.membership, Act.SEE_ALL_KEYS)
    people = people_of(request.account) if sees_all else []
    seen = keys_seen_by(request.membership)
    asked = KeyFilter(request.GET, people=people, environments=environments_of(seen))
    keys, revoked, at = None, 0, timezone.now()
    if asked.is_valid():
        # Those that are gone for good are a list of their own.
        listed = seen if asked.is_of_revoked else seen.filter(revoked_at=None)
        rows, order = asked.sorted(asked.narrow(listed, at=at), at=at)
        revoked = at_most_counted(asked.in_any_state(seen).exclude(revoked_at=None))
        rows = rows.select_related("account", "created_by")
        keys = page_of(rows, request.GET, kept=asked.kept, order=order)
    context = {
        "keys": keys,
        "form": form,
        "asked": asked,
        "is_team": len(people) > 1,
        "revoked": revoked,
        "revoked_at_most": listing.COUNTED_AT_MOST,
        "has_live": keys is not None and any(key.revoked_at is None for key in keys.rows),
    }
    return render(request, "keys/list.html", context, status=status)
