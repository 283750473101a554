"""Fields of the admin that can be used without a mouse, and heard."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.utils.translation import gettext, gettext_lazy


class RowForm(forms.ModelForm[Any]):
    """A row that is changed in its list; fields say of which row, where only a column says it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.visible_fields():
            field.field.widget.attrs["aria-label"] = gettext("%(field)s: %(row)s") % {
                "field": field.label,
                "row": self.instance,
            }


class RightsField(forms.ModelMultipleChoiceField[Permission]):
    """Rights in the reader's language: Django keeps their names in English."""

    def label_from_instance(self, right: Permission) -> str:
        model = right.content_type.model_class()
        act, _, _of = right.codename.partition("_")
        words = _RIGHTS.get(act)
        if model is None or words is None:
            return str(right)
        return f"{right.content_type} | {words % {'model': model._meta.verbose_name}}"  # noqa: SLF001


_RIGHTS = {
    "add": gettext_lazy("Can add %(model)s"),
    "change": gettext_lazy("Can change %(model)s"),
    "delete": gettext_lazy("Can delete %(model)s"),
    "view": gettext_lazy("Can view %(model)s"),
}


class ManyAsBoxes(admin.ModelAdmin[Any]):
    """What may be several things has a box for each.

    Two lists to move things between need a mouse, and one list loses everything by one click.
    """

    filter_horizontal = ()

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        kwargs["widget"] = forms.CheckboxSelectMultiple
        if db_field.related_model is Permission:
            kwargs["form_class"] = RightsField
        return super().formfield_for_manytomany(db_field, request, **kwargs)
