"""Signatures of webhooks, as Standard Webhooks has them, with secrets that are stored nowhere.

A secret is derived from a pepper, the endpoint's id and the generation, so a copy of the database
holds none. Rotating is a new generation; the one before goes on signing for a while.
"""

import hashlib
import hmac
from base64 import b64encode
from datetime import datetime, timedelta

from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from alerts.models import WebhookEndpoint
from alerts.reasons import Reason

# How long both secrets sign after a rotation.
OVERLAP = timedelta(hours=24)
_PREFIX = "whsec_"


class CannotSign(Exception):
    """The pepper that a secret was made with is gone: it has to be rotated."""


def secret_of(endpoint: WebhookEndpoint) -> str:
    """The current secret as its owner keeps it: whsec_ and 32 bytes in base64."""
    secret = _derived(endpoint, endpoint.generation, endpoint.pepper_id)
    return _PREFIX + b64encode(secret).decode("ascii")


@sensitive_variables("secrets", "secret")
def headers_of(
    endpoint: WebhookEndpoint, *, message_id: str, body: bytes, at: datetime
) -> dict[str, str]:
    """The three headers of one message. Raises CannotSign."""
    seconds = str(int(at.timestamp()))
    signed = b".".join([message_id.encode(), seconds.encode(), body])
    secrets = [_derived(endpoint, endpoint.generation, endpoint.pepper_id)]
    if endpoint.has_previous(at=at):
        secrets.append(_derived(endpoint, endpoint.generation - 1, endpoint.previous_pepper_id))
    signatures = [
        "v1," + b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode("ascii")
        for secret in secrets
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(signatures),
    }


def _derived(endpoint: WebhookEndpoint, generation: int, pepper_id: str) -> bytes:
    for pepper in settings.KEY_PEPPERS:
        if pepper.pepper_id == pepper_id:
            # No text of a key or token begins like this: nothing else is made under this name.
            return bytes(pepper.mac(f"webhook secret:{endpoint.pk}:{generation}".encode()))
    raise CannotSign(Reason.CANNOT_SIGN)
