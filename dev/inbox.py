"""The development inbox: mails are kept as files and shown on a page instead of being sent."""

import email
import email.policy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from django.core.mail import EmailMessage as OutgoingMessage
from django.core.mail.backends.base import BaseEmailBackend

_SHOWN_AT_MOST = 100
_NAME = re.compile(r"[0-9]{20}-[0-9a-f]{32}")
_LINK = re.compile(r"https?://[^\s<>\"]+")


@dataclass(frozen=True, slots=True)
class InboxMessage:
    """One mail as the inbox shows it."""

    name: str
    subject: str
    to: str
    sent_at: datetime
    text: str

    @property
    def links(self) -> list[str]:
        """The addresses in the text, in order."""
        return list(dict.fromkeys(_LINK.findall(self.text)))


class InboxBackend(BaseEmailBackend):
    """Keeps every mail as a file below DATA_DIR."""

    def send_messages(self, email_messages: Sequence[OutgoingMessage]) -> int:
        """Keep the mails; answers how many."""
        folder = _folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for message in email_messages:
            microseconds = int(datetime.now(UTC).timestamp() * 1_000_000)
            path = folder / f"{microseconds:020d}-{uuid4().hex}.eml"
            path.touch(mode=0o600)
            path.write_bytes(message.message().as_bytes())
        return len(email_messages)


def newest() -> list[InboxMessage]:
    """The newest mails first."""
    paths = sorted(_folder().glob("*.eml"), reverse=True)[:_SHOWN_AT_MOST]
    return [_read(path) for path in paths]


def find(name: str) -> InboxMessage | None:
    """The mail of that name."""
    path = _folder() / f"{name}.eml"
    # The name comes from an address: nothing but our own names may reach the file system.
    if not _NAME.fullmatch(name) or not path.exists():
        return None
    return _read(path)


def _folder() -> Path:
    return Path(settings.DATA_DIR) / "inbox"


def _read(path: Path) -> InboxMessage:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    body = message.get_body(preferencelist=("plain", "html"))
    return InboxMessage(
        name=path.stem,
        subject=str(message["subject"]),
        to=str(message["to"]),
        sent_at=datetime.fromtimestamp(int(path.stem.partition("-")[0]) / 1_000_000, UTC),
        text=body.get_content() if body else "",
    )
