"""Forms of the admin, filled in and sent as a browser would."""

import re
from typing import Any

from django.forms import BoundField, MultiWidget
from django.http import HttpResponse
from django.test import Client


def filled_in(client: Client, url: str) -> dict[str, Any]:
    """The form of an admin page as a browser would send it back."""
    page = client.get(url)
    assert page.status_code == 200
    forms = [page.context["adminform"].form]
    for inline in page.context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    sent: dict[str, Any] = {}
    for form in forms:
        for bound in form:
            sent |= _inputs(bound)
    return sent


def _inputs(bound: BoundField) -> dict[str, Any]:
    value = bound.value()
    value = value() if callable(value) else value
    widget = bound.field.widget
    if isinstance(widget, MultiWidget):
        parts = zip(widget.widgets, widget.decompress(value) or (), strict=True)
        told = [part.format_value(value) for part, value in parts]
        return {f"{bound.html_name}_{at}": value for at, value in enumerate(told) if value}
    if value is None or value is False:
        return {}
    return {bound.html_name: "on" if value is True else getattr(value, "pk", value)}


def post(client: Client, url: str, sent: dict[str, Any]) -> HttpResponse:
    """What the page answers; None leaves a field out."""
    told = {name: value for name, value in sent.items() if value is not None}
    answer: HttpResponse = client.post(url, told)  # type: ignore[assignment]
    return answer


def saved(client: Client, url: str, **changes: Any) -> None:
    """Send a page's form with changes; it must be accepted."""
    answer = post(client, url, {**filled_in(client, url), **changes})
    assert answer.status_code == 302, re.findall("errorlist.*", answer.content.decode())


def refused(client: Client, url: str, **changes: Any) -> str:
    """Send a page's form with changes; it must not be accepted, and the page says why."""
    answer = post(client, url, {**filled_in(client, url), **changes})
    assert answer.status_code == 200
    return answer.content.decode()
