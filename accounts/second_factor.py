"""What people show besides a password, or instead of one: codes of an app, passkeys, spare ones."""

import logging
import secrets
from base64 import b32encode, urlsafe_b64encode
from hashlib import sha256
from urllib.parse import urlsplit

from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_variables

from accounts.models import User
from gate.terms.key_text import Pepper

logger = logging.getLogger(__name__)

Type = Authenticator.Type
# Recovery codes stand in for one of these, and are none by themselves.
FACTORS = (Type.TOTP, Type.WEBAUTHN)
# Where the secret stands in what is kept of each; a passkey's never leaves its owner's device.
_SECRETS = {Type.TOTP: "secret", Type.RECOVERY_CODES: "seed"}


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """How allauth keeps and names what people show."""

    def encrypt(self, text: str) -> str:
        """A copy of the database signs nobody in: what it holds is read with a pepper only."""
        pepper = settings.KEY_PEPPERS[0]
        return f"{pepper.pepper_id}:{_lock(pepper).encrypt(text.encode()).decode()}"

    @sensitive_variables("text")
    def decrypt(self, encrypted_text: str) -> str:
        """Its counterpart. What was locked with a pepper that is gone matches no code any more."""
        pepper_id, _, locked = encrypted_text.partition(":")
        for pepper in settings.KEY_PEPPERS:
            if pepper.pepper_id == pepper_id:
                try:
                    return _lock(pepper).decrypt(locked).decode()
                except InvalidToken:
                    break
        logger.error("A second factor was locked with a pepper that is not there: %s", pepper_id)
        return b32encode(secrets.token_bytes(20)).decode()

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        """What a new passkey is called, unless its owner says it better."""
        count = Authenticator.objects.filter(user=user, type=type).count()
        return gettext("Passkey %(number)s") % {"number": count + 1}

    def get_totp_issuer(self) -> str:
        """Beside the address, in the app."""
        return "sansxel"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """A passkey belongs to the name of the site, whatever name it was asked by."""
        return {"id": urlsplit(settings.SITE_URL).hostname or "", "name": "sansxel"}


def has_second_factor(user: User) -> bool:
    """Whether more than the password is asked for when they sign in."""
    found: bool = Authenticator.objects.filter(user=user, type__in=FACTORS).exists()
    return found


def has_passkey(user: User) -> bool:
    """Whether one of them is a passkey."""
    found: bool = Authenticator.objects.filter(user=user, type=Type.WEBAUTHN).exists()
    return found


def showed_second_factor(request: HttpRequest, user: User) -> bool:
    """Whether they showed more than a password in this session."""
    records = get_authentication_records(request, user)
    return any(record["method"] == "mfa" for record in records)


def lock_anew(factor: Authenticator) -> None:
    """What is locked with an old pepper moves to the one that counts now.

    Inside a transaction, with a row that was read in it: which codes were used stands in it, too.
    """
    place = _SECRETS.get(Type(factor.type))
    locked = factor.data.get(place) if place else None
    current = settings.KEY_PEPPERS[0].pepper_id
    if not locked or locked.partition(":")[0] == current:
        return
    adapter = SecondFactorAdapter()
    factor.data[place] = adapter.encrypt(adapter.decrypt(locked))
    factor.save(update_fields=["data"])


def _lock(pepper: Pepper) -> Fernet:
    digest = sha256(b"second factor:" + pepper.secret).digest()
    return Fernet(urlsafe_b64encode(digest))
