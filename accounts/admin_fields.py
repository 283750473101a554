"""Fields of the admin that can be used without a mouse, and heard."""

from typing import Any

from django import forms
from django.contrib import admin


class RowForm(forms.ModelForm[Any]):
    """A row that is changed in its list; fields say of which row, where only a column says it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.visible_fields():
            field.field.widget.attrs["aria-label"] = f"{field.label}: {self.instance}"


class ManyAsBoxes(admin.ModelAdmin[Any]):
    """What may be several things has a box for each.

    Two lists to move things between need a mouse, and one list loses everything by one click.
    """

    filter_horizontal = ()

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        kwargs["widget"] = forms.CheckboxSelectMultiple
        return super().formfield_for_manytomany(db_field, request, **kwargs)
