"""What programs ask of keys: `/api/v1/keys`. The site reads by it, and OpenAPI is made of it.

It stands here because the two that use it, the API's document and the site, know nothing of one
another.
"""

from typing import Annotated

from msgspec import Meta, Struct

from gate.terms.pace import A_MINUTE_AT_MOST, AT_ONCE_AT_MOST

MODELS_AT_MOST = 100
ADDRESSES_AT_MOST, CAP_AT_MOST, REASON_AT_MOST = 20, 1_000_000_000, 200

Name = Annotated[
    str, Meta(min_length=1, max_length=80, description="What people recognise the key by.")
]
Environment = Annotated[
    str,
    Meta(
        max_length=80,
        description="Where it is used, in a word of up to 20 characters: production, staging.",
        extra={"must_be": "a text of up to 20 characters"},
    ),
]
Moment = Annotated[
    str,
    Meta(
        max_length=40,
        description="When it ends by itself, with a zone: 2027-01-31T00:00:00Z.",
        extra_json_schema={"format": "date-time"},
        extra={"must_be": "a moment to come, as 2027-01-31T00:00:00Z, or null"},
    ),
]
Cap = Annotated[
    int,
    Meta(
        ge=0,
        le=CAP_AT_MOST,
        description="Chats that it may use; null is as many as the account has. Days and months "
        "are those of the calendar in UTC.",
        extra={"must_be": f"a whole number, 0 to {CAP_AT_MOST:,}, or null"},
    ),
]
AMinute = Annotated[
    int,
    Meta(
        ge=1,
        le=A_MINUTE_AT_MOST,
        description="Requests in any 60 seconds; null is as many as the account may send.",
        extra={"must_be": f"a whole number, 1 to {A_MINUTE_AT_MOST:,}, or null"},
    ),
]
AtOnce = Annotated[
    int,
    Meta(
        ge=1,
        le=AT_ONCE_AT_MOST,
        description="Requests that are answered at the same time; null is as many as the account "
        "may send.",
        extra={"must_be": f"a whole number, 1 to {AT_ONCE_AT_MOST:,}, or null"},
    ),
]
Scopes = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=50)]],
    Meta(
        max_length=20,
        description="chat, images, voice, quota:read, usage:read; none of the endpoints is all of "
        "them, unless quota:read stands there alone.",
        extra={"must_be": "a list of texts"},
    ),
]
Addresses = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=60)]],
    Meta(
        max_length=ADDRESSES_AT_MOST,
        description="Addresses or networks that it may be used from; none is anywhere.",
        extra={"must_be": f"a list of up to {ADDRESSES_AT_MOST} texts"},
    ),
]


Models = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=128)]],
    Meta(
        max_length=MODELS_AT_MOST,
        description="Models that it may ask, as GET /api/v1/models names them; none is all.",
        extra={"must_be": f"a list of up to {MODELS_AT_MOST} texts"},
    ),
]


class NewKey(Struct, forbid_unknown_fields=True):
    """A key to be made."""

    name: Name
    environment: Environment = ""
    expires_at: Moment | None = None
    daily_cap: Cap | None = None
    weekly_cap: Cap | None = None
    monthly_cap: Cap | None = None
    total_cap: Cap | None = None
    requests_a_minute: AMinute | None = None
    requests_at_once: AtOnce | None = None
    scopes: Scopes = []
    addresses: Addresses = []
    models: Models = []


class KeyChanges(Struct, forbid_unknown_fields=True):
    """What is to be different of a key; what is not named stays."""

    name: Name | None = None
    environment: Environment | None = None
    expires_at: Moment | None = None
    daily_cap: Cap | None = None
    weekly_cap: Cap | None = None
    monthly_cap: Cap | None = None
    total_cap: Cap | None = None
    requests_a_minute: AMinute | None = None
    requests_at_once: AtOnce | None = None
    scopes: Scopes | None = None
    addresses: Addresses | None = None
    models: Models | None = None
    enabled: Annotated[
        Annotated[bool, Meta(extra={"must_be": "true or false"})] | None,
        Meta(description="false: every request with it is refused, until it is true again."),
    ] = None


class Rotation(Struct, forbid_unknown_fields=True):
    """How a key gets another secret."""

    old_secret_stays: Annotated[
        str,
        Meta(
            max_length=3,
            description="How long the old secret still works: 0, 1h, 24h or 7d.",
            extra_json_schema={"enum": ["0", "1h", "24h", "7d"]},
            extra={"must_be": "0, 1h, 24h or 7d, as a text"},
        ),
    ] = "24h"  # noqa: S105 - a time


class Revocation(Struct, forbid_unknown_fields=True):
    """Why a key is revoked, for whoever asks later."""

    reason: Annotated[
        str,
        Meta(max_length=REASON_AT_MOST, extra={"must_be": f"a text of up to {REASON_AT_MOST}"}),
    ] = ""
