"""Mails that are written as text and as a page, by the templates of one name."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string


def written(
    template: str, context: Mapping[str, Any], *, subject: str, to: str, **headers: str
) -> EmailMultiAlternatives:
    """One mail, in the language that is spoken now; the caller sends it.

    template: how the names of its text and its page begin. No machine answers it.
    """
    message = EmailMultiAlternatives(
        subject,
        render_to_string(f"{template}_message.txt", dict(context)),
        settings.DEFAULT_FROM_EMAIL,
        [to],
        headers={"Auto-Submitted": "auto-generated", **headers},
    )
    page = render_to_string(f"{template}_message.html", dict(context))
    message.attach_alternative(page, "text/html")
    return message
