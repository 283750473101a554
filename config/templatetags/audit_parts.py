"""How lines of the audit log read."""

from django import template
from django.utils.translation import gettext as _

from accounts import audit_words
from accounts.models import AuditEvent
from accounts.sessions import client_in_words
from keys.revoke_notes import in_words

register = template.Library()
register.filter("client_in_words", client_in_words)


@register.simple_tag
def audit_act(event: AuditEvent) -> str:
    """What was done."""
    return str(audit_words.act_of(event))


@register.simple_tag
def audit_change(what: str, before: str, after: str) -> str:
    """What is different: “chats a week: 100 → 50”."""
    return audit_words.change_of(what, before, after, nothing=_("none"))


@register.filter
def audit_note(note: str) -> str:
    """Why it was done; in the language of the page where no person wrote it."""
    return in_words(_(note)) if note else ""
