"""Secrets in text that others read: logs, and answers that quote what a caller sent.

Whatever logs, and by whatever handler: the record itself is made without secrets. What helps to
find a key stays, as the pages show it: its handle and its last four characters.
"""

import contextlib
import logging
import logging.config
import re
from collections.abc import Mapping
from typing import Any

from gate.terms.key_text import HANDLE_LENGTH, KEY_LENGTH, TOKEN_LENGTH

_SHOWN_CHARACTERS = 300
# Where a name ends: not in the middle of a word. In an address “_” may be written %5F.
_SECRET = re.compile(
    r"(?<![0-9A-Za-z])(?:"
    r"(?P<stripe>(?:sk|rk)_(?:live|test)_|whsec_)[\w+/=-]{4,}"
    r"|(?P<key>sk(?:_|%5[Ff]))(?P<rest_of_key>[0-9A-Za-z]{16,})"
    r"|(?P<token>svc(?:_|%5[Ff]))(?P<rest_of_token>[0-9A-Za-z]{12,})"
    r"|(?P<foreign>sk-)[\w-]{16,}"
    r"|(?P<invitation>inv(?:_|%5[Ff]))[0-9A-Za-z]{12,}"
    r")"
    r"|(?P<scheme>\w://[^\s:/@]*:)[^\s/@]+(?=@)"
)
_FORMATTER = logging.Formatter()


def redact(text: str) -> str:
    """The text without API keys, service tokens, Stripe's secrets, and passwords in addresses."""
    return _SECRET.sub(_remainder, text)


def holds_secret(text: str) -> bool:
    """Whether `redact` would change the text."""
    return _SECRET.search(text) is not None


def shown(text: str) -> str:
    """What a caller sent, as an answer may quote it: without secrets, and not too long."""
    text = redact(text)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…."


def _remainder(found: "re.Match[str]") -> str:
    """What may stay of a secret. Its last four only if it is whole: half of one is still secret."""
    if found["key"]:
        rest = found["rest_of_key"]
        end = rest[-4:] if len(rest) == KEY_LENGTH - len("sk_") else ""
        return f"{found['key']}{rest[:HANDLE_LENGTH]}…{end}"
    if found["token"]:
        rest = found["rest_of_token"]
        end = rest[-4:] if len(rest) == TOKEN_LENGTH - len("svc_") else ""
        return f"{found['token']}…{end}"
    return f"{found['stripe'] or found['foreign'] or found['invitation'] or found['scheme']}…"


# --- logs -------------------------------------------------------------------------------------


def configure(settings: dict[str, Any]) -> None:
    """Configure logging (Django's LOGGING_CONFIG), so that no record holds a secret."""
    install()
    logging.config.dictConfig(settings)


def install() -> None:
    """From now on every record of this process is made without secrets."""
    make = logging.getLogRecordFactory()
    if not isinstance(make, _RedactingFactory):
        logging.setLogRecordFactory(_RedactingFactory(make))


class _RedactingFactory:
    """Makes records; a record without secrets stays as it is."""

    def __init__(self, make: Any) -> None:
        self._make = make

    def __call__(self, *args: Any, **more: Any) -> logging.LogRecord:
        record: logging.LogRecord = self._make(*args, **more)
        _clean_message(record)
        _clean_traceback(record)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return record


def _clean_message(record: logging.LogRecord) -> None:
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 - any argument may fail to become text, in any way
        # logging would print message and arguments to stderr as they are.
        record.msg, record.args = redact(f"(unreadable) {record.msg!r} {record.args!r}"), None
        return
    if not holds_secret(message):
        return
    # Some formatters read the arguments one by one, so they stay as many.
    if isinstance(record.msg, str):
        record.msg = redact(record.msg)
    if isinstance(record.args, tuple):
        record.args = tuple(_clean(argument) for argument in record.args)
    elif isinstance(record.args, Mapping):
        record.args = {name: _clean(argument) for name, argument in record.args.items()}
    with contextlib.suppress(Exception):
        if not holds_secret(record.getMessage()):
            return
    record.msg, record.args = redact(message), None


def _clean(argument: object) -> Any:
    text = str(argument)
    return redact(text) if holds_secret(text) else argument


def _clean_traceback(record: logging.LogRecord) -> None:
    if not record.exc_info or record.exc_info[0] is None:
        return
    text = _FORMATTER.formatException(record.exc_info)
    if holds_secret(text):
        # Handlers that make a text of their own of it make none.
        record.exc_text, record.exc_info = redact(text), None
