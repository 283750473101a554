"""/account/billing/plans: subscribe to a plan, change it, end it; cards and invoices."""

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.current import AccountRequest, account_page
from accounts.models import Account
from accounts.roles import Act
from accounts.site_address import site_address
from billing import checkout, terms
from billing.checkout import CannotCheckout
from billing.leading import lead_to, turn_back
from billing.looking import next_look
from billing.stripe_client.errors import StripeRefuses, StripeUnavailable
from billing.subscriptions import changing, ordering, portal, prices
from billing.subscriptions.booked import SEATS_AT_MOST, seats_needed
from billing.subscriptions.choice import choices_of
from billing.subscriptions.models import Interval, PlanOrder, Subscription
from billing.subscriptions.prices import Cost
from quotas import entitlements, projection
from quotas.models.plans import Plan
from quotas.standing import Outlook, outlook_of, standing_of

logger = logging.getLogger(__name__)

_INCOMPLETE = gettext_lazy("The form was incomplete. Choose again.")
_CHANGED = gettext_lazy(
    "This plan was changed since you opened the page. Nothing was ordered and nothing was charged: "
    "below is what it costs and gives now."
)


class PlanForm(forms.Form):
    """Which plan by the month or year; `submission` makes a double click one act."""

    interval = forms.ChoiceField(choices=Interval.choices)
    seats = forms.IntegerField(min_value=1, max_value=SEATS_AT_MOST, required=False)
    terms = forms.RegexField(
        rf"\A[0-9]{{1,9}}-[0-9]{{1,10}}{terms.MAY_END}\Z", error_messages={"invalid": _INCOMPLETE}
    )
    shown = forms.CharField(required=False, max_length=500)
    submission = forms.UUIDField()


class SeatsForm(forms.Form):
    """For how many people a plan is looked at, before it is chosen."""

    seats = forms.IntegerField(
        label=gettext_lazy("Seats"),
        min_value=1,
        max_value=SEATS_AT_MOST,
        help_text=gettext_lazy(
            "One for each person in the account. More can be added at any time."
        ),
    )

    def __init__(self, data: QueryDict, *, now: int) -> None:
        super().__init__(data if "seats" in data else None, initial={"seats": now})
        self._now = now

    @property
    def chosen(self) -> int:
        """The number that was asked for, or the one that is needed now."""
        return self.cleaned_data["seats"] if self.is_valid() else self._now


@require_http_methods(["GET", "HEAD", "POST"])
@account_page(Act.SPEND_MONEY)
@never_cache
def plan_choice(request: AccountRequest, slug: str) -> HttpResponse:
    """What going to a plan costs and brings; posted, it is done."""
    plan = get_object_or_404(Plan.objects.prefetch_related("packs"), slug=slug)
    if not prices.costs_of(plan):
        messages.info(request, _("%(plan)s cannot be bought here.") % {"plan": plan.name})
        return redirect("pricing")
    if request.method == "POST":
        return _choose(request, plan)
    return _show(request, plan, at=timezone.now())


def _show(request: AccountRequest, plan: Plan, *, at: datetime) -> HttpResponse:
    row = Subscription.objects.of(request.account)
    has = entitlements.spans_of([request.account], since=at)[request.account.pk][0]
    asked = SeatsForm(request.GET, now=_seats_now(request.account, row, plan))
    costs = prices.costs_of(plan, seats=asked.chosen)
    context = {
        "plan": plan,
        "seats_form": asked if plan.is_per_seat else None,
        "subscription": row,
        "choices": choices_of(request.account, row, costs, has=has, at=at),
        "now_on": has.plan,
    }
    return render(request, "billing/plan.html", context)


def _seats_now(account: Account, row: Subscription | None, plan: Plan) -> int:
    if not plan.is_per_seat:
        return 1
    needed = seats_needed(account)
    return max(needed, row.quantity) if row is not None and row.plan_id == plan.pk else needed


def _choose(request: AccountRequest, plan: Plan) -> HttpResponse:
    now = timezone.now()
    form = PlanForm(request.POST)
    cost = None
    if form.is_valid():
        seats = form.cleaned_data["seats"] or 1
        cost = prices.cost_of(plan, form.cleaned_data["interval"], seats=seats)
    if cost is None:
        messages.error(request, _INCOMPLETE)
        return redirect("plan_choice", slug=plan.slug)
    row = Subscription.objects.of(request.account)
    try:
        if row is None:
            order = ordering.begin(
                account=request.account,
                user=request.user,
                cost=cost,
                terms=form.cleaned_data["terms"],
                submission=form.cleaned_data["submission"],
                at=now,
            )
            return _to_payment_page(request, order)
        done = changing.change(
            row,
            cost,
            terms=form.cleaned_data["terms"],
            shown=form.cleaned_data["shown"],
            submission=str(form.cleaned_data["submission"]),
            at=now,
        )
    except checkout.TermsChanged:
        messages.warning(request, str(_CHANGED))
        return redirect("plan_choice", slug=plan.slug)
    except CannotCheckout as error:
        return turn_back(request, error, "plan_choice", slug=plan.slug)
    _say(request, row, cost, done)
    return redirect("billing")


def _say(request: AccountRequest, row: Subscription, cost: Cost, done: changing.Change) -> None:
    row.refresh_from_db()
    words = {"plan": cost.booked.name, "paid": done.paid.name}
    if row.is_changing:
        said = _(
            "The change to %(plan)s waits for its payment: your bank wants to hear from you, or "
            "refused the card. Until it is paid everything stays as it was."
        )
        messages.warning(request, said % words)
    elif done.kind is changing.Kind.LATER:
        said = _("From the next period on it is %(plan)s. Until then %(paid)s stays as it is.")
        messages.success(request, said % words)
    elif done.kind is changing.Kind.KEEP:
        messages.success(request, _("%(plan)s stays as it is.") % words)
    else:
        projection.push_if_behind(request.account)
        if outlook_of(standing_of(request.account)) is Outlook.ACCEPTED:
            said = _("You are on %(plan)s now. It counts for the very next chat.")
        else:
            said = _("You are on %(plan)s now.")
        messages.success(request, said % words)


def _to_payment_page(request: AccountRequest, order: PlanOrder) -> HttpResponse:
    """Lead to where an order is paid; to its own page if there is nothing to pay any more."""
    landing = site_address(reverse("plan_order", args=[order.pk]))
    try:
        url = ordering.payment_page(
            order,
            email=request.user.email,
            success_url=f"{landing}?session={{CHECKOUT_SESSION_ID}}",
            cancel_url=landing,
            at=timezone.now(),
        )
    except checkout.NotOpen:
        return redirect("plan_order", order_id=order.pk)
    return lead_to(request, url, name=order.plan_name)


@require_GET
@account_page(Act.SEE_MONEY)
@never_cache
def plan_order(request: AccountRequest, order_id: UUID) -> HttpResponse:
    """Where a customer lands after the payment page. Asks Stripe itself."""
    order = get_object_or_404(
        PlanOrder.objects.select_related("account", "plan"), pk=order_id, account=request.account
    )
    try:
        ordering.look(order, at=timezone.now(), is_page=True)
    except (StripeUnavailable, StripeRefuses) as error:
        logger.warning("order %s of a plan could not be brought up to date: %s", order.pk, error)
    row = Subscription.objects.of(request.account)
    context: dict[str, Any] = {
        "order": order,
        "subscription": row,
        **next_look(request),
        # Back from the payment page without having paid.
        "was_left": "session" not in request.GET,
        "order_terms": prices.cost_as_ordered(order).terms,
    }
    if order.status == PlanOrder.Status.SUBSCRIBED:
        projection.push_if_behind(request.account)
        standing = standing_of(request.account)
        context |= {"standing": standing, "outlook": outlook_of(standing)}
    return render(request, "billing/plan_order.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@account_page(Act.SPEND_MONEY)
@never_cache
def plan_end(request: AccountRequest) -> HttpResponse:
    """Say what ending the subscription means; posted, it ends with its period."""
    row = Subscription.objects.of(request.account)
    if row is None or row.is_ending:
        return redirect("billing")
    if request.method != "POST":
        grace = timedelta(days=settings.SUBSCRIPTION_GRACE_DAYS, seconds=1)
        after = entitlements.plan_of(request.account, at=row.renews_at + grace)
        return render(request, "billing/plan_end.html", {"subscription": row, "after": after})
    return _set_ending(request, row, is_ending=True)


@require_POST
@account_page(Act.SPEND_MONEY)
def plan_resume(request: AccountRequest) -> HttpResponse:
    """Let a subscription that was to end go on."""
    row = Subscription.objects.of(request.account)
    if row is None or not row.is_ending:
        return redirect("billing")
    return _set_ending(request, row, is_ending=False)


def _set_ending(request: AccountRequest, row: Subscription, *, is_ending: bool) -> HttpResponse:
    form = forms.UUIDField(required=True)
    try:
        submission = str(form.clean(request.POST.get("submission")))
        changing.set_ending(row, is_ending=is_ending, submission=submission, at=timezone.now())
    except forms.ValidationError:
        messages.error(request, _INCOMPLETE)
    except CannotCheckout as error:
        messages.error(request, str(error))
    else:
        if is_ending:
            said = _("The subscription is cancelled. Your plan stays until the period is over.")
        else:
            said = _("The subscription goes on as before.")
        messages.success(request, said)
    return redirect("billing")


@require_POST
@account_page(Act.SPEND_MONEY)
def customer_portal(request: AccountRequest) -> HttpResponse:
    """Lead to Stripe's portal: cards, billing address, tax id, invoices."""
    try:
        url = portal.page_of(
            request.account, email=request.user.email, return_url=site_address(reverse("billing"))
        )
    except CannotCheckout as error:
        return turn_back(request, error, "billing")
    return lead_to(request, url, name=_("Cards and invoices"))
