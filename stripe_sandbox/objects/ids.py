"""How objects are named, and in which version of the API they are written."""

import secrets
import string

# The version the pinned client speaks; a test says when they part.
API_VERSION = "2026-10-28.endive"
ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str, *, length: int = 24) -> str:
    """A fresh unguessable id such as `pi_…`."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(length))
