"""What customers may ask for by name, and who answers it: AI models and their providers."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.names import NameField, name_check
from accounts.numbers import thousands
from quotas.models.plans import CannotRemove, Plan

UNITS_AT_MOST = 10_000

# Python and PostgreSQL read these alike. An address has neither a log-in nor a query.
_BASE_URL = r"\Ahttps?://[^\s/?#@]+(/[^\s?#]*)?\Z"
_KEY_VARIABLE = r"\AMODEL_[A-Z0-9_]+\Z"
_MODEL_NAME = r"\A[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}\Z"
_NAME_AT_PROVIDER = r"\A[!-~]([ -~]*[!-~])?\Z"

_ADDRESS_WORDS = _("An address begins with http:// or https://, without a log-in, “?” or “#”.")
_KEY_WORDS = _("It must begin with MODEL_, followed by capital letters, digits and “_”.")
_NAME_WORDS = _("A name begins with a letter or digit; then there may be . _ : / - too, up to 128.")
_NAME_AT_PROVIDER_WORDS = _("A name has letters, digits and signs of ASCII, no space at its ends.")


class Provider(models.Model):
    """A server that speaks the OpenAI API, and which variable of the environment has its key.

    Keys themselves are never stored. Only variables named MODEL_… can be chosen, so that no other
    secret of the environment can be sent to somebody.
    """

    name = NameField(longest=80, max_length=80, unique=True)
    base_url = models.CharField(
        _("address"),
        max_length=500,
        blank=True,
        validators=[RegexValidator(_BASE_URL, _ADDRESS_WORDS)],
        help_text=_(
            "For example https://api.openai.com/v1. Empty is what MODEL_BASE_URL says; where that "
            "is empty, too, the built-in demo answers."
        ),
    )
    key_variable = models.CharField(
        max_length=100,
        blank=True,
        validators=[RegexValidator(_KEY_VARIABLE, _KEY_WORDS)],
        help_text=_(
            "The name of the environment variable that has the provider’s key, never the key "
            "itself: for example MODEL_OPENAI_KEY. Empty is MODEL_API_KEY where the address is "
            "empty, and no key where it is not."
        ),
    )

    class Meta:
        ordering = ("name",)
        constraints: ClassVar = [
            name_check("provider_name_clean"),
            models.CheckConstraint(
                condition=Q(base_url="") | Q(base_url__regex=_BASE_URL),
                name="provider_base_url_is_http",
            ),
            models.CheckConstraint(
                condition=Q(key_variable="") | Q(key_variable__regex=_KEY_VARIABLE),
                name="provider_key_of_a_model",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse what no pattern sees: a port that is none, brackets without an address in them."""
        if not self.base_url:
            return
        try:
            parts = urlsplit(self.base_url)
            is_address = bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_address = False
        if not is_address:
            raise ValidationError({"base_url": _ADDRESS_WORDS})

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete a provider that no model needs. Raises CannotRemove for others."""
        if self.why_it_stays:
            raise CannotRemove(self.why_it_stays)
        return super().delete(*args, **kwargs)

    @property
    def why_it_stays(self) -> str:
        """Why the provider cannot be deleted; empty when it can."""
        count = self.ai_models.count()
        if not count:
            return ""
        return ngettext(
            "%(count)s model is asked at %(provider)s: move it to another provider first.",
            "%(count)s models are asked at %(provider)s: move them to another provider first.",
            count,
        ) % {"count": thousands(count), "provider": self.name}


class AIModel(models.Model):
    """What customers may name at one endpoint, what it costs, and which plans may use it."""

    class Endpoint(models.TextChoices):
        """Each is the slug of the meter that counts it."""

        CHAT = "chat", _("Chat")
        IMAGES = "images", _("Images")
        VOICE = "voice", _("Voice")

    name = models.CharField(
        max_length=128,
        validators=[RegexValidator(_MODEL_NAME, _NAME_WORDS)],
        help_text=_("What customers write as “model”. Whoever names it must be told of a change."),
    )
    endpoint = models.CharField(
        max_length=12,
        choices=Endpoint,
        default=Endpoint.CHAT,
        help_text=_("Where it is asked, and the meter that counts it."),
    )
    provider = models.ForeignKey(Provider, models.PROTECT, related_name="ai_models")
    name_at_provider = models.CharField(
        max_length=200,
        blank=True,
        validators=[RegexValidator(_NAME_AT_PROVIDER, _NAME_AT_PROVIDER_WORDS)],
        help_text=_(
            "What the provider calls it. Empty is what MODEL_NAME says for chat, MODEL_IMAGE_NAME "
            "for images, MODEL_VOICE_NAME for voice."
        ),
    )
    units = models.PositiveIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(UNITS_AT_MOST)],
        help_text=_("A call costs so many times what the meter costs in chats."),
    )
    for_all_plans = models.BooleanField(
        default=True,
        help_text=_("Every plan may use it, plans that are made later as well."),
    )
    plans = models.ManyToManyField(
        Plan,
        blank=True,
        related_name="ai_models",
        help_text=_("Only these may use it. Deleting one of them opens it to nobody else."),
    )
    position = models.PositiveSmallIntegerField(
        default=0,
        help_text=_("The first of an endpoint that a plan may use answers when no name is given."),
    )
    is_offered = models.BooleanField(
        _("offered"),
        default=True,
        help_text=_("Customers can name it; it is in the list of models."),
    )
    description = models.CharField(
        max_length=200, blank=True, help_text=_("A short text for customers.")
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("model")
        ordering = ("endpoint", "position", "name")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["endpoint", "name"], name="ai_model_one_name"),
            models.CheckConstraint(
                condition=Q(name__regex=_MODEL_NAME), name="ai_model_name_can_be_written"
            ),
            models.CheckConstraint(
                condition=Q(endpoint__in=["chat", "images", "voice"]),
                name="ai_model_endpoint_known",
            ),
            models.CheckConstraint(
                condition=Q(name_at_provider="") | Q(name_at_provider__regex=_NAME_AT_PROVIDER),
                name="ai_model_name_at_provider",
            ),
            models.CheckConstraint(
                condition=Q(units__range=(1, UNITS_AT_MOST)), name="ai_model_units_in_bounds"
            ),
        ]

    def __str__(self) -> str:
        return self.name
