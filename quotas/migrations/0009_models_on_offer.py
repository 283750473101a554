from typing import ClassVar

import django.db.models.deletion
import django.utils.timezone
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import migrations, models

from accounts.names import NameField, name_check

# Two tables that are new, and a field of a table with one row: nobody waits for it. The first
# models are made by `quotas.seed`, once.
BASE_URL = r"\Ahttps?://[^\s/?#@]+(/[^\s?#]*)?\Z"
KEY_VARIABLE = r"\AMODEL_[A-Z0-9_]+\Z"
MODEL_NAME = r"\A[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}\Z"
NAME_AT_PROVIDER = r"\A[!-~]([ -~]*[!-~])?\Z"

ADDRESS_WORDS = "An address begins with http:// or https://, without a log-in, “?” or “#”."
KEY_WORDS = "It must begin with MODEL_, followed by capital letters, digits and “_”."
NAME_WORDS = "A name begins with a letter or digit; then there may be . _ : / - too, up to 128."
NAME_AT_PROVIDER_WORDS = "A name has letters, digits and signs of ASCII, no space at its ends."


class Migration(migrations.Migration):
    dependencies: ClassVar = [("quotas", "0008_tokens")]
    operations: ClassVar = [
        migrations.AddField(
            "quotapolicy",
            "has_first_models",
            models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.CreateModel(
            "Provider",
            fields=[
                (
                    "id",
                    models.BigAutoField("ID", primary_key=True, auto_created=True, serialize=False),
                ),
                ("name", NameField(longest=80, max_length=80, unique=True)),
                (
                    "base_url",
                    models.CharField(
                        "address",
                        max_length=500,
                        blank=True,
                        validators=[RegexValidator(BASE_URL, ADDRESS_WORDS)],
                        help_text="For example https://api.openai.com/v1. Empty is what "
                        "MODEL_BASE_URL says; where that is empty, too, the built-in demo answers.",
                    ),
                ),
                (
                    "key_variable",
                    models.CharField(
                        max_length=100,
                        blank=True,
                        validators=[RegexValidator(KEY_VARIABLE, KEY_WORDS)],
                        help_text="The name of the environment variable that has the provider’s "
                        "key, never the key itself: for example MODEL_OPENAI_KEY. Empty is "
                        "MODEL_API_KEY where the address is empty, and no key where it is not.",
                    ),
                ),
            ],
            options={
                "ordering": ("name",),
                "constraints": [
                    name_check("provider_name_clean"),
                    models.CheckConstraint(
                        condition=models.Q(base_url="") | models.Q(base_url__regex=BASE_URL),
                        name="provider_base_url_is_http",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(key_variable="")
                        | models.Q(key_variable__regex=KEY_VARIABLE),
                        name="provider_key_of_a_model",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            "AIModel",
            fields=[
                (
                    "id",
                    models.BigAutoField("ID", primary_key=True, auto_created=True, serialize=False),
                ),
                (
                    "name",
                    models.CharField(
                        max_length=128,
                        validators=[RegexValidator(MODEL_NAME, NAME_WORDS)],
                        help_text="What customers write as “model”. Whoever names it must be told "
                        "of a change.",
                    ),
                ),
                (
                    "endpoint",
                    models.CharField(
                        max_length=12,
                        choices=[("chat", "Chat"), ("images", "Images"), ("voice", "Voice")],
                        default="chat",
                        help_text="Where it is asked, and the meter that counts it.",
                    ),
                ),
                (
                    "provider",
                    models.ForeignKey(
                        "quotas.provider",
                        django.db.models.deletion.PROTECT,
                        related_name="ai_models",
                    ),
                ),
                (
                    "name_at_provider",
                    models.CharField(
                        max_length=200,
                        blank=True,
                        validators=[RegexValidator(NAME_AT_PROVIDER, NAME_AT_PROVIDER_WORDS)],
                        help_text="What the provider calls it. Empty is what MODEL_NAME says for "
                        "chat, MODEL_IMAGE_NAME for images, MODEL_VOICE_NAME for voice.",
                    ),
                ),
                (
                    "units",
                    models.PositiveIntegerField(
                        default=1,
                        validators=[MinValueValidator(1), MaxValueValidator(10_000)],
                        help_text="A call costs so many times what the meter costs in chats.",
                    ),
                ),
                (
                    "for_all_plans",
                    models.BooleanField(
                        default=True,
                        help_text="Every plan may use it, plans that are made later as well.",
                    ),
                ),
                (
                    "plans",
                    models.ManyToManyField(
                        "quotas.plan",
                        blank=True,
                        related_name="ai_models",
                        help_text="Only these may use it. Deleting one of them opens it to nobody "
                        "else.",
                    ),
                ),
                (
                    "position",
                    models.PositiveSmallIntegerField(
                        default=0,
                        help_text="The first of an endpoint that a plan may use answers when no "
                        "name is given.",
                    ),
                ),
                (
                    "is_offered",
                    models.BooleanField(
                        "offered",
                        default=True,
                        help_text="Customers can name it; it is in the list of models.",
                    ),
                ),
                (
                    "description",
                    models.CharField(
                        max_length=200, blank=True, help_text="A short text for customers."
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
            ],
            options={
                "verbose_name": "model",
                "ordering": ("endpoint", "position", "name"),
                "constraints": [
                    models.UniqueConstraint(fields=["endpoint", "name"], name="ai_model_one_name"),
                    models.CheckConstraint(
                        condition=models.Q(name__regex=MODEL_NAME),
                        name="ai_model_name_can_be_written",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(endpoint__in=["chat", "images", "voice"]),
                        name="ai_model_endpoint_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(name_at_provider="")
                        | models.Q(name_at_provider__regex=NAME_AT_PROVIDER),
                        name="ai_model_name_at_provider",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(units__range=(1, 10_000)),
                        name="ai_model_units_in_bounds",
                    ),
                ],
            },
        ),
    ]
