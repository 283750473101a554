"""Fields of every form as pages show them: a form that was refused goes on where it is wrong."""

from typing import Any

from django.forms import BoundField, Widget
from django.forms.renderers import DjangoTemplates


class SiteField(BoundField):
    """A field of a form. The first one that is wrong is where the page is read and typed on."""

    def build_widget_attrs(
        self, attrs: dict[str, Any], widget: Widget | None = None
    ) -> dict[str, Any]:
        attrs = super().build_widget_attrs(attrs, widget)
        shown = widget or self.field.widget
        # Of a group of boxes each would have it.
        if self._is_first_mistake and not shown.is_hidden and not shown.use_fieldset:
            attrs["autofocus"] = True
        return attrs

    @property
    def _is_first_mistake(self) -> bool:
        errors = self.form.errors
        return self.name == next((name for name in self.form.fields if name in errors), None)


class SiteRenderer(DjangoTemplates):
    """Django's own templates of fields, for fields of ours."""

    bound_field_class = SiteField
