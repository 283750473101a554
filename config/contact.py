"""Where people write to when something is arranged with them."""

from urllib.parse import quote

from django.conf import settings


def contact_about(subject: str) -> str:
    """The address that a link leads to; a mail has its subject already."""
    url: str = settings.CONTACT_URL
    return f"{url}?subject={quote(subject)}" if url.startswith("mailto:") else url
