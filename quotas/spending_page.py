"""/account/billing/spending and the same of a key: what may be spent past the allowance."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.current import AccountRequest, account_page
from accounts.roles import Act
from accounts.spending import SpendingForm, in_words
from gate.store.snapshots import Paid
from gate.terms.spending import PastAllowance, Spending
from keys.listing import keys_changed_by
from keys.models import ApiKey
from quotas import catalogue, entitlements, grants
from quotas.standing import left_of, paid_of


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A ceiling of credits: how much there is, what of it is used, and what that is in chats.

    used: None where the gate gives no answer.
    """

    is_of_week: bool
    credits: int
    chats: int
    used: int | None

    @property
    def percent(self) -> int:
        """How much of it is used, 0 to 100."""
        if not self.credits:
            return 100
        return min(100, (self.used or 0) * 100 // self.credits)


@require_http_methods(["GET", "POST"])
@account_page(Act.SPEND_MONEY)
@never_cache
def of_account(request: AccountRequest) -> HttpResponse:
    """What the account may spend; the POST changes it."""
    return _page(request, None, entitlements.spending_of(request.account))


@require_http_methods(["GET", "POST"])
@account_page(Act.CHANGE_KEYS)
@never_cache
def of_key(request: AccountRequest, key_id: int) -> HttpResponse:
    """What one key may spend; the POST changes it."""
    keys = keys_changed_by(request.membership).select_related("account")
    key = get_object_or_404(keys, pk=key_id)
    return _page(request, key, key.spending)


def _page(request: AccountRequest, key: ApiKey | None, chosen: Spending) -> HttpResponse:
    form = SpendingForm.showing(chosen)
    if request.method == "POST":
        form = SpendingForm(request.POST)
        if form.is_valid():
            return _choose(request, key, form.spending)
    # Before it is asked what was spent: it warms the account.
    left = left_of(request.account)
    paid = None if left is None else paid_of(request.account, key)
    rate = left.credits_per_chat if left else catalogue.policy().credits_per_chat
    form.name_the_price(rate)
    context = {
        "form": form,
        "key": key,
        "chosen": chosen,
        "stops": chosen.past_allowance is PastAllowance.NOTHING,
        "no_credits": chosen.past_allowance is PastAllowance.BOOSTS,
        "ceilings": list(_ceilings(chosen, paid, rate)),
        "of_account": ", ".join(in_words(entitlements.spending_of(request.account))) if key else "",
    }
    status = 422 if form.errors else 200
    return render(request, "quotas/spending.html", context, status=status)


def _ceilings(chosen: Spending, paid: Paid | None, rate: int) -> Iterator[Ceiling]:
    if (credits_a_week := chosen.credits_a_week) is not None:
        used = None if paid is None else paid.in_week
        yield Ceiling(True, credits_a_week, credits_a_week // rate, used)
    if (credits_a_month := chosen.credits_a_month) is not None:
        used = None if paid is None else paid.in_month
        yield Ceiling(False, credits_a_month, credits_a_month // rate, used)


def _choose(request: AccountRequest, key: ApiKey | None, spending: Spending) -> HttpResponse:
    has_changed = grants.choose_spending(
        account=request.account, key=key, spending=spending, at=timezone.now(), by=request.user
    )
    if has_changed:
        messages.success(request, _("Saved. It counts for the very next request."))
    else:
        messages.info(request, _("Nothing was changed: it was so already."))
    return redirect("spending") if key is None else redirect("key_spending", key.pk)
