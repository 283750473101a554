"""What staff do to an account: each act a page that says what it does and asks why.

An act needs its own right, happens once however often its form is sent, and is kept in the history
of the account with its reason. Quota changes through the seam, as everywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import AdminForm
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django_stubs_ext import StrOrPromise

from accounts import money
from accounts.models import Account, User
from accounts.numbers import thousands
from quotas import access, entitlements, grants
from quotas.admin.forms import SplitMoment, person
from quotas.models.plans import Plan

_CHATS_AT_MOST = 1_000_000_000
_DAYS_AT_MOST = 3_660
_CREDITS_AT_MOST = 100_000_000
_LAST = ("reason", "submission")
_DONE_ALREADY = gettext_lazy("It was done already, and is not done twice.")


class ActForm(forms.Form):
    """What every act asks. The account is given; a page has no other."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=200,
        help_text=gettext_lazy("Kept with your name, for whoever asks later."),
        error_messages={"required": gettext_lazy("Say why: it is kept with the change.")},
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
    submission = forms.UUIDField(
        label=gettext_lazy("Submission"), widget=forms.HiddenInput, initial=uuid4
    )

    def __init__(self, *args: Any, account: Account, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.account = account
        # Why comes last, after what.
        self.order_fields([*(name for name in self.fields if name not in _LAST), *_LAST])

    @property
    def mark(self) -> str:
        """How the history of the account ends what this very form did; "" of no form of ours.

        The same in every language.
        """
        try:
            return f"{UUID(str(self.data.get('submission')))}."
        except ValueError:
            return ""

    def was_done(self) -> bool:
        """Whether this very form was sent before, and did what it says."""
        if not self.mark:
            return False
        kept = LogEntry.objects.filter(
            content_type=ContentType.objects.get_for_model(Account),
            object_id=str(self.account.pk),
            change_message__endswith=self.mark,
        )
        return kept.exists()


class BoostForm(ActForm):
    chats = forms.IntegerField(
        label=gettext_lazy("Chats"), min_value=1, max_value=_CHATS_AT_MOST, initial=500
    )
    days = forms.IntegerField(
        label=gettext_lazy("Valid for days"),
        min_value=1,
        max_value=_DAYS_AT_MOST,
        initial=7,
        help_text=gettext_lazy("Of 24 hours, from now on."),
    )


class CreditsForm(ActForm):
    credits = forms.IntegerField(
        label=gettext_lazy("Credits"),
        min_value=-_CREDITS_AT_MOST,
        max_value=_CREDITS_AT_MOST,
        help_text=format_lazy(
            gettext_lazy(
                "1 credit is worth {one}: 500 are worth {many}. A number below zero takes credits."
            ),
            one=money.price_when_read(1),
            many=money.price_when_read(500),
        ),
    )

    def clean_credits(self) -> int:
        credits: int = self.cleaned_data["credits"]
        if credits == 0:
            raise forms.ValidationError(_("Write how many credits: 0 changes nothing."))
        return credits


class MoveForm(ActForm):
    plan = forms.ModelChoiceField(Plan.objects.all(), label=gettext_lazy("Plan"), empty_label=None)
    ends_at = forms.SplitDateTimeField(
        label=gettext_lazy("Until"),
        required=False,
        widget=SplitMoment,
        help_text=gettext_lazy(
            "When the plan ends by itself (UTC); its default plan counts then. Empty is for good."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        now = entitlements.spans_of([self.account], since=timezone.now())[self.account.pk][0]
        self.plan_now, self.ends_now = now.plan, now.ends_at
        self.fields["plan"].initial, self.fields["ends_at"].initial = now.plan, now.ends_at
        # A queryset would be asked twice: whether it begins with an empty choice, and for all.
        plan = cast("forms.ModelChoiceField[Plan]", self.fields["plan"])
        plan.choices = [(plan.pk, str(plan)) for plan in Plan.objects.all()]

    def clean_ends_at(self) -> datetime | None:
        ends_at: datetime | None = self.cleaned_data["ends_at"]
        if ends_at and ends_at <= timezone.now():
            raise forms.ValidationError(_("A plan must end in the future."))
        return ends_at

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.errors and (data["plan"], data["ends_at"]) == (self.plan_now, self.ends_now):
            self.add_error(
                "plan", _("The account has this plan, until then: nothing would change.")
            )
        return data


class TellingForm(ActForm):
    """An act of which the owners of the account hear, and why."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].help_text = gettext_lazy(
            "Kept with your name. Owners of the account read it, without your name: in a mail, and "
            "on its pages while it is suspended."
        )


class ReopenForm(TellingForm):
    """Undoes that an account was closed, within the days that its owner was told of."""

    def clean(self) -> dict[str, Any]:
        if self.account.closed_at is None:
            raise forms.ValidationError(_("The account is not closed."))
        if not self.account.may_be_reopened(at=timezone.now()):
            raise forms.ValidationError(
                _("It was closed too long ago: its owner was told that it stays closed by now.")
            )
        return super().clean() or self.cleaned_data


def _grant_boost(form: BoostForm, by: User | None, at: datetime) -> str:
    data = form.cleaned_data
    boost = grants.grant_boost(
        account=form.account,
        chats=data["chats"],
        at=at,
        expires_at=at + timedelta(days=data["days"]),
        source_ref=_source_ref(form),
        by=by,
        note=data["reason"],
    )
    words = ngettext(
        "A boost of %(chats)s chat until %(moment)s is granted.",
        "A boost of %(chats)s chats until %(moment)s is granted.",
        boost.chats,
    )
    return words % {"chats": thousands(boost.chats), "moment": _moment(boost.expires_at)}


def _grant_credits(form: CreditsForm, by: User | None, at: datetime) -> str:
    credits = form.cleaned_data["credits"]
    grants.grant_credits(
        account=form.account,
        credits=credits,
        kind=grants.CreditKind.GRANT,
        at=at,
        source_ref=_source_ref(form),
        # The ledger has no place for who it was but this; customers read the reason there.
        note=form.cleaned_data["reason"],
    )
    if credits < 0:
        words = ngettext(
            "%(count)s credit (%(worth)s) is taken.",
            "%(count)s credits (%(worth)s) are taken.",
            -credits,
        )
    else:
        words = ngettext(
            "%(count)s credit (%(worth)s) is granted.",
            "%(count)s credits (%(worth)s) are granted.",
            credits,
        )
    return words % {"count": thousands(abs(credits)), "worth": money.price(abs(credits))}


def _move(form: MoveForm, by: User | None, at: datetime) -> str:
    data = form.cleaned_data
    grants.move_to_plan(
        account=form.account,
        plan=data["plan"],
        at=at,
        ends_at=data["ends_at"],
        source_ref=_source_ref(form),
        by=by,
        note=data["reason"],
    )
    if not data["ends_at"]:
        return _("The account is on %(plan)s.") % {"plan": data["plan"]}
    return _("The account is on %(plan)s until %(moment)s.") % {
        "plan": data["plan"],
        "moment": _moment(data["ends_at"]),
    }


def _suspend(form: ActForm, by: User | None, at: datetime) -> str:
    grants.suspend(account=form.account, at=at, by=by, note=form.cleaned_data["reason"])
    return _("The account is suspended: every request is refused.")


def _reinstate(form: ActForm, by: User | None, at: datetime) -> str:
    grants.reinstate(account=form.account, at=at, by=by, note=form.cleaned_data["reason"])
    return _("The account may work again.")


def _reopen(form: ActForm, by: User | None, at: datetime) -> str:
    grants.reopen(account=form.account, at=at, by=by, note=form.cleaned_data["reason"])
    keys = access.keys_in_words([form.account])[form.account.pk]
    return _("The account is open again: %(keys)s.") % {"keys": keys}


def _moment(at: datetime) -> str:
    return date_format(at, "j M Y H:i")


def _source_ref(form: ActForm) -> str:
    return f"admin:{form.cleaned_data['submission']}"


@dataclass(frozen=True, slots=True)
class Act:
    """One act: its address below the account's, what it is called, what it does and needs."""

    slug: str
    label: StrOrPromise
    explains: StrOrPromise
    needs: str
    form: type[ActForm]
    do: Callable[[Any, User | None, datetime], str]

    @property
    def url_name(self) -> str:
        """In the admin's name space."""
        return f"accounts_account_{self.slug}"


ACTS = (
    Act(
        "boost",
        gettext_lazy("Grant boost"),
        gettext_lazy(
            "Chats on top of the week’s allowance, until they expire. They count for the next chat."
        ),
        "quotas.add_boost",
        BoostForm,
        _grant_boost,
    ),
    Act(
        "credits",
        gettext_lazy("Grant credits"),
        gettext_lazy(
            "A line in the ledger, which customers see with its reason. It counts for the next "
            "chat and is never changed: a mistake is mended by another line."
        ),
        "quotas.add_creditentry",
        CreditsForm,
        _grant_credits,
    ),
    Act(
        "plan",
        gettext_lazy("Move to plan"),
        gettext_lazy(
            "The plan counts from the next chat on, and every other plan but the default ends. "
            "Packs that the plan does not include are switched off."
        ),
        "quotas.add_plangrant",
        MoveForm,
        _move,
    ),
    Act(
        "suspend",
        gettext_lazy("Suspend"),
        gettext_lazy(
            "Every request of every key is refused with 403 from the next one on, whatever the "
            "account holds. Nothing is lost, and it can be lifted."
        ),
        "quotas.add_suspension",
        TellingForm,
        _suspend,
    ),
    Act(
        "reinstate",
        gettext_lazy("Lift suspension"),
        gettext_lazy("Its keys work again from the next request on."),
        "quotas.change_suspension",
        TellingForm,
        _reinstate,
    ),
    Act(
        "reopen",
        gettext_lazy("Reopen"),
        gettext_lazy(
            "Its members may act for it again, and its keys work from the next request on. The "
            "subscription, the auto top-up and invitations that ended with it stay ended."
        ),
        "quotas.change_suspension",
        ReopenForm,
        _reopen,
    ),
)


def offered(request: HttpRequest, account: Account, *, is_suspended: bool) -> list[Act]:
    """The acts that make sense for an account now and that whoever asks may do."""
    if account.closed_at is not None:
        senseless = {"suspend", "reinstate"}
        if not account.may_be_reopened(at=timezone.now()):
            senseless.add("reopen")
    else:
        senseless = {"reopen", "suspend" if is_suspended else "reinstate"}
    return [act for act in ACTS if act.slug not in senseless and request.user.has_perm(act.needs)]


def addresses(model_admin: admin.ModelAdmin[Account]) -> list[URLPattern]:
    """A page for each act, below the page of the account."""

    def page(act: Act) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            return _page(model_admin, request, object_id, act)

        return model_admin.admin_site.admin_view(view)

    return [path(f"<path:object_id>/{act.slug}/", page(act), name=act.url_name) for act in ACTS]


def _page(
    model_admin: admin.ModelAdmin[Account], request: HttpRequest, object_id: str, act: Act
) -> HttpResponse:
    if not (request.user.has_perm("accounts.view_account") and request.user.has_perm(act.needs)):
        raise PermissionDenied
    account = get_object_or_404(Account, pk=object_id if object_id.isdecimal() else 0)
    form = act.form(request.POST or None, account=account)
    # First: what is done already may make no sense any more.
    done = str(_DONE_ALREADY) if form.was_done() else ""
    if not done and form.is_valid():
        done = _done_once(request, form, act)
    if done:
        messages.success(request, done)
        return redirect("admin:accounts_account_change", account.pk)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": act.label,
        "subtitle": str(account),
        "act": act,
        "account": account,
        "opts": model_admin.opts,
        "adminform": AdminForm(cast("Any", form), [(None, {"fields": list(form.fields)})], {}),
        "inline_admin_formsets": [],
        "errors": form.errors,
        "media": model_admin.media + form.media,
    }
    return render(request, "admin/accounts/account/act.html", context)


def _done_once(request: HttpRequest, form: ActForm, act: Act) -> str:
    """Do it and keep it in the history, in one transaction, unless this form did it before."""
    by = person(request)
    assert request.user.pk is not None
    with transaction.atomic():
        # Whoever sends the same form at the same moment comes after us, and sees what we kept.
        Account.objects.select_for_update(no_key=True).get(pk=form.account.pk)
        if form.was_done():
            return str(_DONE_ALREADY)
        done = act.do(form, by, timezone.now())
        LogEntry.objects.log_actions(
            request.user.pk,
            [form.account],
            CHANGE,
            _("%(act)s. %(done)s Reason: %(reason)s. Form %(mark)s")
            % {
                "act": act.label,
                "done": done,
                "reason": form.cleaned_data["reason"],
                "mark": form.mark,
            },
            single_object=True,
        )
    return done
