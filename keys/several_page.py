"""/account/keys/several: what was chosen in the list is named, asked about, and done at once."""

from collections.abc import Sequence

from django import forms
from django.contrib import messages
from django.db.models import F
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.current import AccountRequest, account_page
from accounts.roles import Act
from keys.forms import RevokeForm
from keys.listing import keys_changed_by
from keys.models import ApiKey
from keys.several import KEYS_AT_ONCE, Do, Outcome, do_with_several, numbers_in


class SeveralForm(RevokeForm):
    """What is to be done with the keys that were chosen."""

    do = forms.ChoiceField(
        choices=[(do.value, do.value) for do in Do],
        error_messages=dict.fromkeys(
            ("required", "invalid_choice"),
            gettext_lazy("Choose whether to switch the keys off or on, or to revoke them."),
        ),
    )


@require_http_methods(["GET", "POST"])
@account_page(Act.CHANGE_KEYS)
@never_cache
def several(request: AccountRequest) -> HttpResponse:
    """Ask before several keys are changed; the POST changes them."""
    is_sent = request.method == "POST"
    sent = request.POST if is_sent else request.GET
    numbers = numbers_in(sent.getlist("key"))
    form = SeveralForm(sent)
    if not sent.getlist("key"):
        messages.info(request, _("Choose keys in the list first: tick those that you mean."))
        return redirect("keys")
    if len(numbers) > KEYS_AT_ONCE:
        said = _("Choose %(count)s keys at most. Nothing was changed.") % {"count": KEYS_AT_ONCE}
        messages.error(request, said)
        return redirect("keys")
    found = keys_changed_by(request.membership).filter(pk__in=numbers).select_related("account")
    # What stops working is read first.
    keys = list(found.order_by(F("last_used_at").desc(nulls_last=True), "-pk"))
    if not keys:
        raise Http404
    do = form.data.get("do")
    if "do" in form.errors:
        messages.error(request, str(form.errors["do"][0]))
        return redirect("keys")
    if not is_sent:
        keys = [key for key in keys if key.revoked_at is None]
        if not keys:
            messages.info(
                request, _("These keys are revoked, which is final: nothing is left to do.")
            )
            return redirect("keys")
        form = SeveralForm(initial={"do": do})
    elif form.is_valid():
        outcome = do_with_several(
            keys=keys,
            do=Do(form.cleaned_data["do"]),
            by=request.user,
            at=timezone.now(),
            note=form.cleaned_data["note"],
        )
        _tell(request, Do(form.cleaned_data["do"]), outcome)
        return redirect("keys")
    context = {
        "keys": keys,
        "form": form,
        "do": do,
        "lately": sum(key.was_used_lately for key in keys),
    }
    return render(request, "keys/several.html", context, status=422 if is_sent else 200)


def _tell(request: AccountRequest, do: Do, outcome: Outcome) -> None:
    """Say what is done, and name what is not."""
    if outcome.done:
        messages.success(request, _done_in_words(do, len(outcome.done)))
    over = [key for key in outcome.done if key.is_expired]
    if do is Do.SWITCH_ON and over:
        said = _("Expired, and refused until you give them a later end: %(names)s.")
        messages.warning(request, said % {"names": _names(over)})
    if outcome.waiting:
        said = _(
            "Saved, but not confirmed by the gate yet: %(names)s. It is repeated every second; "
            "until then these keys may still be as they were."
        )
        messages.warning(request, said % {"names": _names(outcome.waiting)})
    if outcome.final:
        said = _("Revoked already, which is final, so that nothing was changed: %(names)s.")
        messages.error(request, said % {"names": _names(outcome.final)})


def _done_in_words(do: Do, count: int) -> str:
    said = {
        Do.REVOKE: ngettext(
            "%(count)s key is revoked. Requests with it are refused.",
            "%(count)s keys are revoked. Requests with them are refused.",
            count,
        ),
        Do.SWITCH_OFF: ngettext(
            "%(count)s key is off. Requests with it are refused until you switch it on.",
            "%(count)s keys are off. Requests with them are refused until you switch them on.",
            count,
        ),
        Do.SWITCH_ON: ngettext("%(count)s key is on.", "%(count)s keys are on.", count),
    }
    return said[do] % {"count": count}


def _names(keys: Sequence[ApiKey]) -> str:
    """As they are called, and how they end: names may be the same."""
    return ", ".join(f"“{key.name}” ({key.masked})" for key in keys)
