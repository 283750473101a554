"""/account/alerts: what an account and its people are told of, its webhooks, and the log."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.current import AccountRequest, account_page
from accounts.models import Membership
from accounts.roles import Act, may
from alerts import choosing, endpoints, log, raising, signing
from alerts.forms import (
    EditWebhookForm,
    MailForm,
    NewWebhookForm,
    ResendForm,
    RotateForm,
    SettingsForm,
)
from alerts.models import WebhookEndpoint
from keys import mail_choice


@require_GET
@account_page(Act.SEE_ALERTS)
@never_cache
def alerts(request: AccountRequest) -> HttpResponse:
    """Everything about alerts on one page."""
    return _page(request)


@require_POST
@account_page(Act.CHANGE_ALERTS)
@never_cache
def alerts_settings(request: AccountRequest) -> HttpResponse:
    """Say what the account is told of."""
    form = SettingsForm(request.POST)
    if not form.is_valid():
        return _page(request, settings_form=form, status=422)
    choosing.choose_for_account(
        request.account,
        kinds=form.cleaned_data["kinds"],
        low_credits=form.cleaned_data["low_credits"],
        at=timezone.now(),
    )
    messages.success(request, _("Saved. What has passed this week already is not told again."))
    return redirect("alerts")


@require_POST
@account_page(Act.CHOOSE_MAIL)
@never_cache
def alerts_mail(request: AccountRequest) -> HttpResponse:
    """Say what the visitor gets mail about."""
    form = MailForm(request.POST, sees_keys=may(request.membership, Act.SEE_KEYS))
    if not form.is_valid():
        return _page(request, mail_form=form, status=422)
    choosing.choose_mail(request.membership, **form.cleaned_data)
    saved = _("Saved. Mail goes to %(email)s.") % {"email": request.user.email}
    messages.success(request, saved)
    return redirect("alerts")


@require_POST
@account_page(Act.CHANGE_ALERTS)
@never_cache
@sensitive_variables("secret")
def webhook_add(request: AccountRequest) -> HttpResponse:
    """Add a webhook, and show its secret in the answer to the POST itself."""
    form = NewWebhookForm(request.POST)
    if not form.is_valid():
        return _page(request, webhook_form=form, status=422)
    try:
        endpoint = endpoints.add(
            account=request.account,
            url=form.cleaned_data["url"],
            submission=form.cleaned_data["submission"],
            by=request.user,
            at=timezone.now(),
        )
    except endpoints.CannotChangeWebhook as error:
        _blame(form, error)
        return _page(request, webhook_form=form, status=422)
    return _show_secret(request, endpoint, status=201)


@require_http_methods(["GET", "POST"])
@account_page(Act.CHANGE_ALERTS)
@never_cache
def webhook(request: AccountRequest, webhook_id: UUID) -> HttpResponse:
    """One webhook; the POST changes where it goes, and whether."""
    endpoint = _endpoint(request, webhook_id)
    form = EditWebhookForm(initial={"url": endpoint.url, "is_on": endpoint.is_on})
    status = 200
    if request.method == "POST":
        form, status = EditWebhookForm(request.POST), 422
        if form.is_valid():
            try:
                endpoints.change(endpoint, **form.cleaned_data)
            except endpoints.CannotChangeWebhook as error:
                _blame(form, error)
            else:
                messages.success(request, _("Saved."))
                return redirect("alerts")
    context = {"webhook": endpoint, "form": form, "has_previous": _has_previous(endpoint)}
    return render(request, "alerts/webhook.html", context, status=status)


@require_http_methods(["GET", "POST"])
@account_page(Act.CHANGE_ALERTS)
@never_cache
def webhook_rotate(request: AccountRequest, webhook_id: UUID) -> HttpResponse:
    """Ask before rotating a secret; the POST rotates it and shows the new one."""
    endpoint = _endpoint(request, webhook_id)
    if request.method == "GET":
        context = {"webhook": endpoint, "has_previous": _has_previous(endpoint)}
        return render(request, "alerts/webhook_rotate.html", context)
    form = RotateForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("The form was incomplete. Nothing was rotated; try again."))
        return redirect("webhook", webhook_id=endpoint.pk)
    try:
        rotated = endpoints.rotate(
            endpoint, generation=form.cleaned_data["generation"], at=timezone.now()
        )
    except endpoints.CannotChangeWebhook as error:
        messages.error(request, str(error))
        return redirect("webhook", webhook_id=endpoint.pk)
    return _show_secret(request, rotated, status=200)


@require_http_methods(["GET", "POST"])
@account_page(Act.CHANGE_ALERTS)
@never_cache
def webhook_remove(request: AccountRequest, webhook_id: UUID) -> HttpResponse:
    """Ask before removing a webhook; the POST removes it."""
    endpoint = _endpoint(request, webhook_id)
    if request.method == "GET":
        return render(request, "alerts/webhook_remove.html", {"webhook": endpoint})
    endpoints.remove(endpoint, at=timezone.now())
    messages.success(request, _("The webhook is removed. Nothing more is sent to it."))
    return redirect("alerts")


@require_POST
@account_page(Act.CHANGE_ALERTS)
@never_cache
def webhook_test(request: AccountRequest, webhook_id: UUID) -> HttpResponse:
    """Send a test, which a worker does."""
    endpoint = _endpoint(request, webhook_id)
    try:
        endpoints.send_test(endpoint, at=timezone.now())
    except endpoints.CannotChangeWebhook as error:
        messages.error(request, str(error))
    else:
        messages.success(
            request, _("A test is on its way. In a few seconds the log says what became of it.")
        )
    return redirect("alerts")


@require_POST
@account_page(Act.CHANGE_ALERTS)
@never_cache
def delivery_resend(request: AccountRequest, delivery_id: int) -> HttpResponse:
    """Send something again that had come to an end."""
    form = ResendForm(request.POST)
    is_sent = form.is_valid() and log.resend(
        account=request.account,
        delivery_id=delivery_id,
        tries=form.cleaned_data["tries"],
        at=timezone.now(),
    )
    if is_sent:
        messages.success(request, _("It is sent again within seconds."))
    else:
        messages.error(request, _("Nothing was sent again: look at the log as it is now."))
    return redirect("alerts")


def _page(
    request: AccountRequest,
    *,
    settings_form: forms.Form | None = None,
    mail_form: forms.Form | None = None,
    webhook_form: forms.Form | None = None,
    status: int = 200,
) -> HttpResponse:
    account, membership = request.account, request.membership
    wants = raising.settings_of(account)
    webhooks = list(endpoints.of_account(account))
    context: dict[str, Any] = {
        "may_change": may(membership, Act.CHANGE_ALERTS),
        "settings_form": settings_form
        or SettingsForm(initial={"kinds": wants.kinds, "low_credits": wants.low_credits}),
        "mail_form": mail_form or _mail_form(membership),
        "webhook_form": webhook_form or NewWebhookForm(),
        "webhooks": webhooks,
        "may_add": len(webhooks) < endpoints.AT_MOST,
        "webhooks_at_most": endpoints.AT_MOST,
        "log": log.page_of_lines(account, request.GET, has_money=may(membership, Act.SEE_MONEY)),
    }
    return render(request, "alerts/alerts.html", context, status=status)


def _mail_form(membership: Membership) -> MailForm:
    """What the visitor gets mail about now."""
    sees_keys = may(membership, Act.SEE_KEYS)
    now = {
        "kinds": list(raising.mail_kinds_of(membership)),
        "of_keys": sees_keys and mail_choice.wants_it(membership),
    }
    return MailForm(initial=now, sees_keys=sees_keys)


def _endpoint(request: AccountRequest, webhook_id: UUID) -> WebhookEndpoint:
    return get_object_or_404(endpoints.of_account(request.account), pk=webhook_id)


def _has_previous(endpoint: WebhookEndpoint) -> bool:
    return endpoint.has_previous(at=timezone.now())


def _blame(form: forms.Form, error: endpoints.CannotChangeWebhook) -> None:
    field = "url" if isinstance(error, endpoints.AddressRefused) else None
    form.add_error(field, str(error))


@sensitive_variables("secret")
def _show_secret(
    request: AccountRequest, endpoint: WebhookEndpoint, *, status: int
) -> HttpResponse:
    context = {
        "webhook": endpoint,
        "secret": signing.secret_of(endpoint),
        "has_previous": _has_previous(endpoint),
    }
    return render(request, "alerts/webhook_secret.html", context, status=status)
