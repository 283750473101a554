"""What members may use: said here, and counted by the gate before the page says so.

Here and not in `accounts`, because the gate is told: the database raises the version of the account
and of its keys with every change of a budget, and one projection brings them together.
"""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import people
from accounts.budgets import BudgetForm, in_vain
from accounts.current import AccountRequest, account_page
from accounts.models import Account, Membership, User
from accounts.roles import Act, may_give
from gate.terms.budget import Budget
from keys.models import ApiKey
from keys.projection import CannotConfirm
from quotas import projection
from quotas.usage.so_far import used_by

_SAVED_NOT_CONFIRMED = gettext_lazy(
    "It is saved, but the gate has not confirmed it yet. It is repeated every second; until then "
    "their keys may still use what they could before."
)


def _form(request: AccountRequest, budget: Budget) -> BudgetForm:
    said = request.POST if request.method == "POST" else None
    return BudgetForm(
        said,
        initial={
            "daily_cap": budget.a_day,
            "weekly_cap": budget.a_week,
            "monthly_cap": budget.a_month,
        },
    )


def change(*, account: Account, user_id: int, budget: Budget, by: User) -> bool:
    """Say what a member may use; done only when the gate goes by it.

    Answers whether it is different. Raises CannotChangePeople, or CannotConfirm.
    """
    has_changed = people.change_budget(account=account, user_id=user_id, budget=budget, by=by)
    if has_changed:
        tell(account)
    return has_changed


def tell(account: Account) -> None:
    """Have the gate go by what members may use, after it changed. Raises CannotConfirm."""
    if not projection.push(account):
        raise CannotConfirm


@require_http_methods(["GET", "POST"])
@account_page(Act.CHANGE_BUDGETS)
@never_cache
def of_member(request: AccountRequest, user_id: int) -> HttpResponse:
    """What one member may use, and has; the POST changes it."""
    members = Membership.objects.filter(account=request.account).select_related("user")
    member = members.filter(user=user_id).first()
    if member is None:
        raise Http404
    form = _form(request, member.budget)
    if form.is_valid():
        try:
            has_changed = change(
                account=request.account, user_id=user_id, budget=form.budget, by=request.user
            )
        except people.CannotChangePeople as error:
            form.add_error(None, str(error))
        except CannotConfirm:
            messages.warning(request, _SAVED_NOT_CONFIRMED)
            return redirect("team")
        else:
            _say(request, form, has_changed=has_changed)
            return redirect("team")
    keys = ApiKey.objects.filter(account=request.account, created_by=user_id)
    ids = list(keys.values_list("pk", flat=True))
    context = {
        "form": form,
        "member": member,
        "keys": len(ids),
        "used": used_by(request.account, ids, at=timezone.now()),
        "may_change": may_give(request.membership, member.role),
    }
    return render(request, "team/budget.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@account_page(Act.CHANGE_BUDGETS)
@never_cache
def of_new_members(request: AccountRequest) -> HttpResponse:
    """What whoever joins may use; the POST changes it, and nothing of who is there."""
    form = _form(request, request.account.new_budget)
    if form.is_valid():
        try:
            has_changed = people.change_new_budget(
                account=request.account, budget=form.budget, by=request.user
            )
        except people.CannotChangePeople as error:
            form.add_error(None, str(error))
        else:
            _say(request, form, has_changed=has_changed)
            return redirect("team")
    context = {"form": form, "may_change": True}
    return render(request, "team/budget.html", context, status=422 if form.errors else 200)


def _say(request: AccountRequest, form: BudgetForm, *, has_changed: bool) -> None:
    if has_changed:
        messages.success(request, _("Saved. It counts from the next request."))
    else:
        messages.info(request, _("Nothing was changed: it was so already."))
    for words in in_vain(form.budget):
        messages.info(request, words)
