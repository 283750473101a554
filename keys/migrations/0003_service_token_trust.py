from typing import ClassVar

import django.core.validators
from django.db import migrations, models

STRIPPED = (
    "Trust this only if the gateway sets the header itself with every request, or strips it: "
    "customers can send it, too."
)


# The database has the defaults, so that the release before this one can still make tokens.
class Migration(migrations.Migration):
    dependencies: ClassVar = [("keys", "0002_clean_names")]

    operations: ClassVar = [
        migrations.AddField(
            "servicetoken",
            "trusts_request_id",
            models.BooleanField(
                "trust X-Quota-Request-Id",
                default=False,
                db_default=False,
                help_text=f"Requests with the same id are charged once within an hour. {STRIPPED} "
                "Whoever sends the same id with every request would use the API for free.",
            ),
        ),
        migrations.AddField(
            "servicetoken",
            "trusts_units",
            models.BooleanField(
                "trust X-Quota-Units",
                default=False,
                db_default=False,
                help_text=f"How many units a request takes; 0 only looks. {STRIPPED} "
                "Whoever sends 0 would use the API for free.",
            ),
        ),
        migrations.AddField(
            "servicetoken",
            "trusts_client_ip",
            models.BooleanField(
                "trust X-Quota-Client-IP",
                default=False,
                db_default=False,
                help_text=f"The customer's address, for keys that are bound to some. {STRIPPED} "
                "Whoever sends an address would open a stolen key that is bound to it.",
            ),
        ),
        migrations.AddField(
            "servicetoken",
            "forwarded_hops",
            models.PositiveSmallIntegerField(
                "hops of X-Forwarded-For",
                default=0,
                db_default=0,
                validators=[django.core.validators.MaxValueValidator(10)],
                help_text="Another way to know the customer's address: how many proxies, the "
                "gateway included, add one to X-Forwarded-For. 0: it is not read. With a number "
                "that is too high a customer chooses the address.",
            ),
        ),
        migrations.AddField(
            "servicetoken",
            "meter",
            models.SlugField(
                "only meter",
                blank=True,
                default="",
                db_default="",
                help_text="What every request is charged by, whatever X-Quota-Meter says. Empty: "
                "the gateway must set or strip X-Quota-Meter, or customers choose the cheapest "
                "meter.",
            ),
        ),
        migrations.AddField(
            "servicetoken",
            "ignored_headers",
            models.PositiveBigIntegerField(
                default=0,
                db_default=0,
                editable=False,
                help_text="Headers that did not count, because the token was not issued with that "
                "trust.",
            ),
        ),
        migrations.AddField(
            "servicetoken",
            "ignored_at",
            models.DateTimeField(null=True, blank=True, editable=False),
        ),
        migrations.AddConstraint(
            "servicetoken",
            models.CheckConstraint(
                condition=models.Q(trusts_client_ip=False) | models.Q(forwarded_hops=0),
                name="service_token_one_address",
                violation_error_message="Choose one way to know the address: X-Quota-Client-IP, "
                "or the hops of X-Forwarded-For.",
            ),
        ),
    ]
