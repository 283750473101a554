"""Plans, packs, meters and what a chat costs: what everybody shares."""

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import money
from accounts.admin_fields import ManyAsBoxes
from accounts.money import MoneyField, code_when_read, price_when_read
from accounts.numbers import thousands
from accounts.pace import in_words
from keys.bounds import KEYS_AT_MOST
from quotas import catalogue, grants
from quotas.admin.forms import LinesField
from quotas.models.plans import Meter, Pack, Plan, QuotaPolicy


class StayingAdmin(admin.ModelAdmin[Any]):
    """What must stay says why (`why_it_stays`) on the page that asks, and is not deleted."""

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The reasons of those that stay, if there are any: then none is deleted."""
        reasons = [reason for obj in objs if (reason := obj.why_it_stays)]
        if reasons:
            # What depends on it may be thousands of rows that nobody reads.
            return [], {}, set(), reasons
        return super().get_deleted_objects(objs, request)


class CatalogueAdmin(StayingAdmin):
    """Whatever is changed here counts for the very next chat of everybody."""

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """A slug is spelled in the gate and in answers of the API: it stays."""
        return ["slug"] if obj is not None and hasattr(obj, "slug") else []

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Tell the gate after everything of the form is saved."""
        super().save_related(request, form, formsets, change)
        if change and "position" in form.changed_data:
            grants.plans_changed_places()
        catalogue.changed()

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        super().delete_model(request, obj)
        catalogue.changed()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        super().delete_queryset(request, queryset)
        catalogue.changed()


def say_unlimited(form: forms.BaseForm) -> None:
    """An empty cap says what it means."""
    cap = form.fields["weekly_cap"]
    cap.label = gettext_lazy("Chats a week")
    cap.widget.attrs["placeholder"] = _("Unlimited")


class PlanForm(forms.ModelForm[Plan]):
    """Choosing another plan as the default moves the mark; it cannot be taken away."""

    monthly_price_cents = MoneyField(
        required=False,
        label=gettext_lazy("Price a month"),
        help_text=format_lazy(
            gettext_lazy("In {currency}, as 20 or 19.50. Empty shows “Contact us”."),
            currency=code_when_read(),
        ),
    )
    yearly_price_cents = MoneyField(
        required=False,
        label=gettext_lazy("Price a year"),
        help_text=format_lazy(
            gettext_lazy("In {currency}, of a year paid at once. Empty: only by the month."),
            currency=code_when_read(),
        ),
    )
    meters = forms.MultipleChoiceField(
        required=False,
        label=gettext_lazy("Endpoints"),
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy(
            "What keys may be used for, by meter; none ticked is everything. Keys that name others "
            "keep them, and are refused there while the plan counts."
        ),
    )
    features = LinesField(
        label=gettext_lazy("Features"),
        longest=120,
        most=20,
        required=False,
        help_text=gettext_lazy("What the pricing page lists, one a line."),
    )

    class Meta:
        model = Plan
        fields = (
            *("slug", "name", "summary", "features", "weekly_cap", "requests_a_minute"),
            *("requests_at_once", "keys_at_most", "monthly_price_cents", "yearly_price_cents"),
            *("meters", "keys_manage"),
            *("is_per_seat", "packs", "position", "is_public", "is_default"),
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        say_unlimited(self)
        for name in ("requests_a_minute", "requests_at_once"):
            self.fields[name].widget.attrs["placeholder"] = _("Unlimited")
        self.fields["keys_at_most"].widget.attrs["placeholder"] = thousands(KEYS_AT_MOST)
        named = dict(Meter.objects.values_list("slug", "name"))
        # One that was deleted since stays until it is unticked: without any, all would be allowed.
        named |= {slug: slug for slug in self.instance.meters if slug not in named}
        meters = cast("forms.MultipleChoiceField", self.fields["meters"])
        meters.choices = list(named.items())
        self.fields["keys_manage"].label = _("Keys may manage keys")
        mark = self.fields["is_default"]
        if self.instance.why_it_stays_default:
            mark.disabled = True
            mark.help_text = self.instance.why_it_stays_default
        else:
            mark.help_text = _("New accounts begin with it, instead of the plan that is so now.")

    def _get_validation_exclusions(self) -> set[str]:
        # That another plan has the mark is no mistake: saving moves it.
        return {*super()._get_validation_exclusions(), "is_default"}  # type: ignore[misc]


class CappedAdmin(CatalogueAdmin):
    """Of what has a weekly cap, or none."""

    @admin.display(description=gettext_lazy("chats a week"), ordering="weekly_cap")
    def cap(self, capped: Any) -> str:
        return _("Unlimited") if capped.weekly_cap is None else thousands(capped.weekly_cap)


@admin.register(Plan)
class PlanAdmin(ManyAsBoxes, CappedAdmin):
    form = PlanForm
    list_display = ("name", "cap", "pace", "price", "is_per_seat", "is_public", "is_default")
    list_filter = ("is_public",)
    search_fields = ("name", "slug")

    @admin.display(description=gettext_lazy("requests"))
    def pace(self, plan: Plan) -> str:
        return ", ".join(in_words(plan.pace)) or _("Unlimited")

    @admin.display(description=gettext_lazy("price a month"), ordering="monthly_price_cents")
    def price(self, plan: Plan) -> str:
        price = plan.monthly_price_cents
        return _("Contact us") if price is None else money.price(price)


class PackForm(forms.ModelForm[Pack]):
    class Meta:
        model = Pack
        fields = ("slug", "name", "summary", "weekly_cap")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        say_unlimited(self)


@admin.register(Pack)
class PackAdmin(CappedAdmin):
    form = PackForm
    list_display = ("name", "slug", "cap")
    search_fields = ("name", "slug")


@admin.register(Meter)
class MeterAdmin(CatalogueAdmin):
    list_display = ("name", "slug", "chats")
    search_fields = ("name", "slug")


class PriceForm(forms.ModelForm[QuotaPolicy]):
    """What a chat costs that neither allowance nor boosts pay."""

    credits_per_chat = MoneyField(
        least=1,
        most=1_000_000,
        label=gettext_lazy("Price of a chat"),
        help_text=format_lazy(
            gettext_lazy(
                "Of each chat past allowance and boosts, in {currency}. It is paid from credits, "
                "and a credit is worth {credit}: 0.02 takes 2 credits."
            ),
            currency=code_when_read(),
            credit=price_when_read(1),
        ),
    )

    class Meta:
        model = QuotaPolicy
        fields = ("credits_per_chat",)


@admin.register(QuotaPolicy)
class QuotaPolicyAdmin(CatalogueAdmin):
    form = PriceForm
    list_display = ("price", "credits_per_chat")

    @admin.display(description=gettext_lazy("price of a chat past allowance and boosts"))
    def price(self, policy: QuotaPolicy) -> str:
        return money.price(policy.credits_per_chat)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
