"""Fields for names that people choose, on a model or a form: one rule, see `gate.terms.names`."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gate.terms.names import CannotName, clean_name, mend_name

# A character that people see may have several code points: a family of emoji has seven.
_PARTS = 8
# What the database refuses, whoever writes. PostgreSQL reads the escapes.
_UNSEEN = (
    r"[\u0001-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e"
    r"\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\uffff\U000e0000-\U000e00ff]"
)
UNFIT = rf"^\s|\s$|{_UNSEEN}"
UNFIT_OR_EMPTY = rf"^$|{UNFIT}"

if TYPE_CHECKING:
    # Generic to the type checker, and not to Python.
    _Text = models.CharField[str, str]
else:
    _Text = models.CharField


class NameField(_Text):
    """A name that somebody chooses. Whatever saves one, only a clean one is kept.

    longest: characters as people count them; the column holds some more code points.
    """

    def __init__(self, *args: Any, longest: int, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", _PARTS * longest)
        self.longest = longest
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "longest": self.longest}

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        return super().clean(self._cleaned(value), model_instance)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """The instance has what is kept."""
        value = self._cleaned(getattr(model_instance, self.attname))
        setattr(model_instance, self.attname, value)
        return value

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        """Also for updates of many rows at once."""
        return super().get_db_prep_save(self._cleaned(value), connection)

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": NameFormField, "longest": self.longest, **kwargs})

    def _cleaned(self, value: Any) -> Any:
        if not isinstance(value, str) or (self.blank and not value.strip()):
            return "" if isinstance(value, str) else value
        assert self.max_length
        return _clean(value, self.longest, self.max_length, str(self.verbose_name).capitalize())


class NameFormField(forms.CharField):
    """Asks for a name."""

    def __init__(self, *, longest: int, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", _PARTS * longest)
        self.longest = longest
        # The browser's own limit; ours counts what people see, and says so itself.
        self._parts = int(kwargs["max_length"])
        super().__init__(**kwargs)
        self.validators = [v for v in self.validators if not hasattr(v, "limit_value")]

    def to_python(self, value: Any) -> str | None:
        text = super().to_python(value)
        if not text:
            return text
        return _clean(text, self.longest, self._parts, str(self.label or _("Name")).capitalize())


def name_check(name: str, *, may_be_empty: bool = False) -> models.CheckConstraint:
    """The part of the rule that PostgreSQL can hold, for the field `name`."""
    return models.CheckConstraint(
        condition=~Q(name__regex=UNFIT if may_be_empty else UNFIT_OR_EMPTY),
        name=name,
        violation_error_message=gettext_lazy("Name must not have characters that cannot be seen."),
    )


def mend_names(app_label: str, model_name: str, *, instead: str) -> Any:
    """For a migration, before the check: names of before the rule become clean ones."""

    def mend(apps: Any, schema_editor: Any) -> None:
        model = apps.get_model(app_label, model_name)
        field = model._meta.get_field("name")  # noqa: SLF001 - Django documents it
        # Nearly all names are plain, and PostgreSQL finds the others.
        rows = model.objects.filter(name__regex=r"[^ -~]|^ | $|  ")
        for pk, name in rows.values_list("pk", "name").iterator():
            clean = mend_name(name, longest=field.longest, parts=field.max_length, instead=instead)
            if clean == name:
                continue
            if field.unique and model.objects.filter(name=clean).exists():
                clean = f"{clean[: field.longest - 24]} ({pk})"
            model.objects.filter(pk=pk).update(name=clean)

    return mend


def _clean(value: str, longest: int, parts: int, label: str) -> str:
    try:
        return clean_name(value, longest=longest, parts=parts, label=label)
    except CannotName as error:
        raise ValidationError(_(error.sentence), code="name", params=error.gaps) from None
