"""/account/billing: buy boosts and credits, switch packs."""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from django_stubs_ext import StrOrPromise

from accounts import spreadsheets
from accounts.current import AccountRequest, account_page
from accounts.listing import KindAndDays
from accounts.models import Account
from accounts.paging import of_kind_between, page_of
from accounts.roles import Act
from accounts.site_address import site_address
from billing import amounts, checkout, exporting, fulfilment, selling, terms
from billing.coming import coming_of
from billing.leading import lead_to, turn_back
from billing.looking import next_look
from billing.models import Product, Purchase
from billing.stripe_client.errors import StripeRefuses, StripeUnavailable
from billing.subscriptions import keeping
from billing.subscriptions.booked import seats_needed
from billing.subscriptions.models import Subscription
from quotas import catalogue, entitlements, grants, projection, statement
from quotas.models.plans import Pack, Plan
from quotas.standing import Outlook, Standing, outlook_of, standing_of

logger = logging.getLogger(__name__)

_LINES = 10
# Of purchases.
_KINDS = [
    ("", gettext_lazy("Any")),
    ("boost", gettext_lazy("Boosts")),
    ("credits", gettext_lazy("Credits")),
]


class CheckoutForm(forms.Form):
    """What to buy, and what was shown of it; `submission` makes a double click one purchase."""

    product = forms.ModelChoiceField(Product.objects.filter(is_active=True), to_field_name="slug")
    terms = forms.RegexField(
        rf"\A[0-9]{{1,9}}(-[0-9]{{1,9}}){{3}}(?:(-[0-9]{{1,9}}){{2}})?{terms.MAY_END}\Z",
        error_messages={"invalid": gettext_lazy("The form was incomplete. Choose again.")},
    )
    submission = forms.UUIDField()


@require_GET
@account_page(Act.SEE_MONEY)
@never_cache
def billing(request: AccountRequest) -> HttpResponse:
    """What the account has, what it can buy and what it bought."""
    return _billing_page(request)


def _billing_page(
    request: AccountRequest, *, typed: QueryDict | None = None, status: int = 200
) -> HttpResponse:
    """typed: an amount that cannot be taken as it is."""
    account = request.account
    now = timezone.now()
    in_turn = entitlements.spans_of([account], since=now)[account.pk]
    plan = in_turn[0].plan
    on_sale = list(Product.objects.filter(is_active=True))
    products = [product for product in on_sale if not product.is_open_amount]
    of_any_amount = next((product for product in on_sale if product.is_open_amount), None)
    packs = list(entitlements.packs_of(plan, account=account))
    standing = standing_of(account, plan=plan)
    not_sold = _not_sold(account, standing)
    credits_per_chat = _credits_per_chat(standing)
    outlook = outlook_of(standing)
    owed = standing.credits_owed if standing else 0
    offers = selling.offers_of(
        products,
        selling.caps_of(account, in_turn, packs_now=packs),
        credits_per_chat=credits_per_chat,
        owed=owed,
        at=now,
    )
    advised = selling.advised(offers) if outlook is Outlook.USED_UP else None
    context = {
        "standing": standing,
        "outlook": outlook,
        "not_sold": not_sold,
        "can_buy": not not_sold,
        "plan": plan,
        "plan_ends_at": in_turn[0].ends_at,
        "next_plan": in_turn[1].plan if len(in_turn) > 1 else None,
        **_subscription(account, at=now),
        **_seats(account, plan, at=now),
        "packs": packs,
        # What helps at once stands first.
        "offers": sorted(offers, key=lambda offer: offer is not advised),
        "advised": advised,
        "open_offer": _open_offer(
            of_any_amount, typed, credits_per_chat=credits_per_chat, owed=owed
        ),
        "credits_per_chat": credits_per_chat,
        "purchases": list(Purchase.objects.filter(account=account)[:_LINES]),
        "credit_entries": statement.last_lines_by_day(account, at_most=_LINES),
        "stripe_is_sandbox": settings.STRIPE_IS_SANDBOX,
    }
    return render(request, "billing/billing.html", context, status=status)


def _open_offer(
    product: Product | None, typed: QueryDict | None, *, credits_per_chat: int, owed: int
) -> amounts.OpenOffer | None:
    if product is None:
        return None
    return amounts.open_offer(product, typed, credits_per_chat=credits_per_chat, owed=owed)


@require_GET
@account_page(Act.SEE_MONEY)
@never_cache
def amount(request: AccountRequest) -> HttpResponse:
    """What an amount gives, while it is typed."""
    standing = standing_of(request.account)
    offer = _open_offer(
        Product.objects.of_any_amount(),
        request.GET,
        credits_per_chat=_credits_per_chat(standing),
        owed=standing.credits_owed if standing else 0,
    )
    if offer is None:
        raise Http404
    return render(request, "billing/_amount_gives.html", {"open_offer": offer, "alone": True})


def _subscription(account: Account, *, at: datetime) -> dict[str, Any]:
    """The account's subscription, the plan that is paid now, and until when it goes on unpaid."""
    row = Subscription.objects.of(account)
    if row is None:
        return {"subscription": None}
    held = keeping.held_by(row, at=at)
    return {
        "subscription": row,
        "paid": held.paid or row.booked,
        "grace_ends_at": held.ends_at,
    }


def _seats(account: Account, plan: Plan, *, at: datetime) -> dict[str, Any]:
    """Of a plan that is sold by the seat: how many there are, and how many people need one."""
    if not plan.is_per_seat:
        return {}
    return {
        "seats": entitlements.seats_of(account, at=at),
        "seats_needed": seats_needed(account),
    }


def _credits_per_chat(standing: Standing | None) -> int:
    """What a chat costs past allowance and boosts: by the gate, or as it is set if that is away."""
    return standing.credits_per_chat if standing else catalogue.policy().credits_per_chat


def _not_sold(account: Account, standing: Standing | None) -> StrOrPromise:
    """Why nothing can be bought, in words; empty when it can. Ordering asks what is committed."""
    if standing is not None:
        return checkout.SUSPENDED if standing.suspended else ""
    try:
        checkout.require_selling(account)
    except checkout.CannotCheckout as error:
        return str(error)
    return ""


@require_POST
@account_page(Act.SPEND_MONEY)
def begin_checkout(request: AccountRequest) -> HttpResponse:
    """Write the order down and send the customer to pay."""
    form = CheckoutForm(request.POST)
    if not form.is_valid():
        if "product" in form.errors:
            messages.error(request, _("This product is not on sale. Choose one of these."))
        else:
            messages.error(request, _("The form was incomplete. Choose again."))
        return redirect("billing")
    product = form.cleaned_data["product"]
    amount_cents: int | None = None
    if product.is_open_amount:
        typed = amounts.AmountForm(product, request.POST)
        if not typed.is_valid():
            return _billing_page(request, typed=request.POST, status=422)
        amount_cents = typed.cleaned_data["amount"]
    try:
        purchase = checkout.begin(
            account=request.account,
            user=request.user,
            product=product,
            terms=form.cleaned_data["terms"],
            submission=form.cleaned_data["submission"],
            amount_cents=amount_cents,
            at=timezone.now(),
        )
    except checkout.TermsChanged:
        return _confirm(request, form, amount_cents=amount_cents)
    except checkout.CannotCheckout as error:
        return turn_back(request, error, "billing")
    return _to_payment_page(request, purchase)


def _confirm(
    request: AccountRequest, form: CheckoutForm, *, amount_cents: int | None
) -> HttpResponse:
    """Ask whether a product is wanted as it is now; nothing was begun."""
    product = form.cleaned_data["product"]
    seen = form.cleaned_data["terms"]
    price_cents, chats, valid_days, credits, *_bounds = terms.numbers_of(seen)
    now: dict[str, Any] = {
        "price_cents": product.price_cents,
        "currency": settings.STRIPE_CURRENCY,
        "chats": product.chats,
        "valid_days": product.valid_days,
        "credits": product.credits,
    }
    if amount_cents is not None:
        credits = credits * amount_cents // max(1, price_cents)
        price_cents = amount_cents
        now |= {"price_cents": amount_cents, "credits": product.credits_for(amount_cents)}
    shown = {
        "price_cents": price_cents,
        "currency": terms.currency_of(seen),
        "chats": chats,
        "valid_days": valid_days,
        "credits": credits,
    }
    context = {
        "product": product,
        "before": shown,
        "now": now,
        "amount_cents": amount_cents,
        "amount_typed": amounts.typed(amount_cents),
        "submission": form.cleaned_data["submission"],
    }
    return render(request, "billing/confirm.html", context)


def _to_payment_page(request: AccountRequest, purchase: Purchase) -> HttpResponse:
    """Lead to where an order is paid; to its own page if there is nothing to pay any more."""
    if not purchase.is_open:
        return redirect("purchase", purchase_id=purchase.pk)
    landing = site_address(reverse("purchase", args=[purchase.pk]))
    left = site_address(reverse("billing_cancelled"))
    try:
        url = checkout.payment_page(
            purchase,
            email=request.user.email,
            success_url=f"{landing}?session={{CHECKOUT_SESSION_ID}}",
            cancel_url=f"{left}?purchase={purchase.pk}",
            at=timezone.now(),
        )
    except checkout.NotOpen:
        return redirect("purchase", purchase_id=purchase.pk)
    except checkout.CannotCheckout as error:
        return turn_back(request, error, "billing")
    return lead_to(request, url, by_hand="billing/continue.html", purchase=purchase)


@require_POST
@account_page(Act.SPEND_MONEY)
def continue_purchase(request: AccountRequest, purchase_id: UUID) -> HttpResponse:
    """Lead to the payment page of an order that waits for its payment."""
    order = get_object_or_404(
        Purchase.objects.select_related("account", "product"),
        pk=purchase_id,
        account=request.account,
    )
    try:
        if order.is_open:
            checkout.require_sellable(request.account, order.product, at=timezone.now())
    except checkout.CannotCheckout as error:
        return turn_back(request, error, "purchase", purchase_id=order.pk)
    return _to_payment_page(request, order)


@require_POST
@account_page(Act.SPEND_MONEY)
def discard_purchase(request: AccountRequest, purchase_id: UUID) -> HttpResponse:
    """End an order that is not paid; its page says what became of it."""
    order = get_object_or_404(Purchase, pk=purchase_id, account=request.account)
    try:
        checkout.discard(order, at=timezone.now())
    except checkout.CannotDiscard as error:
        messages.error(request, str(error))
    return redirect("purchase", purchase_id=order.pk)


@require_GET
@account_page(Act.SEE_MONEY)
@never_cache
def purchase(request: AccountRequest, purchase_id: UUID) -> HttpResponse:
    """Where a customer lands after paying. Asks Stripe itself, so no webhook has to come first."""
    bought = get_object_or_404(Purchase, pk=purchase_id, account=request.account)
    try:
        fulfilment.look(bought, at=timezone.now())
    except (StripeUnavailable, StripeRefuses) as error:
        logger.warning("purchase %s could not be brought up to date: %s", bought.pk, error)
    context: dict[str, Any] = {
        "purchase": bought,
        "is_paid": bought.status == Purchase.Status.PAID,
        "refunds": bought.refunds_that_go_back() if bought.returned_cents else [],
        **next_look(request),
    }
    standing, owed = None, 0
    if context["is_paid"]:
        # A worker may have granted it this very moment.
        projection.push_if_behind(request.account)
        standing = standing_of(request.account)
        context |= {"standing": standing, "outlook": outlook_of(standing)}
        if bought.kind == Product.Kind.CREDITS:
            owed = statement.owed_before(request.account, bought.source_ref)
    ((_bought, context["coming"]),) = coming_of(
        [bought], credits_per_chat=_credits_per_chat(standing), owed=owed
    )
    context["paid_owed"] = min(owed, bought.credits)
    return render(request, "billing/purchase.html", context)


@require_GET
@account_page(Act.SEE_MONEY)
@never_cache
def purchase_list(request: AccountRequest) -> HttpResponse:
    """Everything that the account ever ordered, by pages."""
    page = None
    asked = KindAndDays(request.GET, kinds=_KINDS)
    if asked.is_valid():
        page = page_of(_purchases(request.account, asked), request.GET, kept=asked.kept)
    context = {"page": page, "asked": asked, "exported": exporting.HEAD}
    return render(request, "billing/purchases.html", context)


def _purchases(account: Account, asked: KindAndDays) -> QuerySet[Purchase]:
    return of_kind_between(
        Purchase.objects.filter(account=account),
        kind=asked.cleaned_data["kind"],
        since=asked.since_at,
        until=asked.until_at,
    )


@require_GET
@account_page(Act.SEE_MONEY)
@never_cache
def purchases_export(request: AccountRequest) -> HttpResponse | StreamingHttpResponse:
    """The same orders as a file."""
    asked = KindAndDays(request.GET, kinds=_KINDS)
    if not asked.is_valid():
        return _no_export(request, asked, up="purchases")
    parts = exporting.rows(_purchases(request.account, asked))
    return _csv(request, asked, name="purchases", head=exporting.HEAD, parts=parts)


@require_GET
@account_page(Act.SEE_MONEY)
@never_cache
def credits_export(request: AccountRequest) -> HttpResponse | StreamingHttpResponse:
    """The lines of the credit ledger as a file, with the balance after each."""
    asked = KindAndDays(request.GET, kinds=statement.NARROWINGS)
    if not asked.is_valid():
        return _no_export(request, asked, up="credits")
    parts = statement.exported(
        request.account,
        kind=asked.cleaned_data["kind"],
        since=asked.since_at,
        until=asked.until_at,
    )
    return _csv(request, asked, name="credits", head=statement.EXPORTED, parts=parts)


def _csv(
    request: AccountRequest,
    asked: KindAndDays,
    *,
    name: str,
    head: Sequence[str],
    parts: Iterator[list[tuple[object, ...]]],
) -> HttpResponse | StreamingHttpResponse:
    try:
        file = spreadsheets.alone(request.account, spreadsheets.as_csv(head, parts), of=name)
    except spreadsheets.CannotExport as error:
        return _no_export(request, asked, up=name, why=str(error))
    response = StreamingHttpResponse(file, content_type=spreadsheets.CSV)
    days = [asked.cleaned_data["since"], asked.cleaned_data["until"]]
    of_days = "".join(
        f"-{word}-{day}" for word, day in zip(("from", "to"), days, strict=True) if day
    )
    response["Content-Disposition"] = f'attachment; filename="{name}{of_days}.csv"'
    return response


def _no_export(
    request: AccountRequest, asked: KindAndDays, *, up: str, why: str = ""
) -> HttpResponse:
    context = {
        "asked": asked,
        "why": why,
        "list_url": reverse(up),
        "above": _("Billing"),
        "above_url": reverse("billing"),
    }
    return render(request, "accounts/no_export.html", context, status=400)


@require_GET
@account_page(Act.SEE_MONEY)
@never_cache
def credit_list(request: AccountRequest) -> HttpResponse:
    """The account's whole credit ledger, by pages."""
    asked = KindAndDays(request.GET, kinds=statement.NARROWINGS)
    page = None
    if asked.is_valid():
        page = statement.page_of_lines(
            request.account,
            request.GET,
            kept=asked.kept,
            kind=asked.cleaned_data["kind"],
            since=asked.since_at,
            until=asked.until_at,
        )
    context = {
        "page": page,
        "asked": asked,
        "exported": statement.EXPORTED,
        "owed": max(0, -statement.balance_of(request.account)),
    }
    return render(request, "billing/credits.html", context)


@require_GET
@account_page(Act.SEE_MONEY)
def cancelled(request: AccountRequest) -> HttpResponse:
    """Back from the payment page: say what became of the order, as far as that is known.

    An address without an order is of a page that was opened before addresses had one.
    """
    try:
        purchase_id = UUID(request.GET.get("purchase", ""))
    except ValueError:
        messages.info(request, _("The payment page was left. Below is what became of your orders."))
        return redirect("billing")
    order = get_object_or_404(Purchase, pk=purchase_id, account=request.account)
    try:
        is_known = fulfilment.look(order, at=timezone.now())
    except (StripeUnavailable, StripeRefuses) as error:
        logger.warning("purchase %s could not be brought up to date: %s", order.pk, error)
        is_known = False
    if order.status == Purchase.Status.PENDING and is_known:
        said = _(
            "The payment page was left. Nothing was charged so far: you can continue or discard "
            "this order."
        )
        messages.info(request, said)
    elif order.status == Purchase.Status.PENDING:
        messages.info(request, _("The payment page was left. Below is what we know of this order."))
    return redirect("purchase", purchase_id=order.pk)


@require_POST
@account_page(Act.SWITCH_PACKS)
def pack_switch(request: AccountRequest, slug: str) -> HttpResponse:
    """Switch a pack on or off, as the posted `on` says: a repeated post changes nothing."""
    pack = get_object_or_404(Pack, slug=slug)
    wanted = request.POST.get("on")
    if wanted not in {"true", "false"}:
        messages.error(request, _("The form was incomplete. Try again."))
        return redirect("billing")
    try:
        grants.switch_pack(
            account=request.account,
            pack=pack,
            on=wanted == "true",
            at=timezone.now(),
            by=request.user,
        )
    except grants.CannotSwitchPack:
        refused = _("Your plan does not include the %(pack)s.") % {"pack": pack.name}
        messages.error(request, refused)
    else:
        if wanted != "true":
            switched = _("%(pack)s is off.")
        elif outlook_of(standing_of(request.account)) is Outlook.ACCEPTED:
            switched = _("%(pack)s is on. It counts for the very next chat.")
        else:
            switched = _("%(pack)s is on.")
        messages.success(request, switched % {"pack": pack.name})
    return redirect("billing")
