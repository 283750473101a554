"""What the quota-check service is asked and answers: each shape once, with its bounds.

`checking` reads what comes by them, answers are written by them, and the OpenAPI document is made
of them.
"""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, field

from gate.terms import tags
from gate.terms.reasons import MEANINGS, Reason

MAX_TEXT = 256
MAX_REQUEST_ID = 128
MAX_BATCH = 100
_SCHEMAS = "#/components/schemas/"

# --- what is asked ----------------------------------------------------------------------------

Text = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
Units = Annotated[int, Meta(ge=0, le=10_000)]
ChargeId = Annotated[str, Meta(min_length=1, max_length=2_048)]
RequestId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_REQUEST_ID,
        # To Python alone, $ may stand before a last line feed.
        pattern=r"^[ -~]+(?!\n)$",
        extra={"must_be": f"1 to {MAX_REQUEST_ID} printable characters"},
    ),
]
# `checking` refuses what holds a secret, which no schema tells.
Tag = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=tags.AT_MOST,
        pattern=tags.PATTERN,
        extra={"must_be": tags.MUST_BE},
    ),
]
# No separators of records in Valkey.
ModelName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=128,
        pattern=r"^[A-Za-z0-9._:/@+-]+(?!\n)$",
        extra={"must_be": "1 to 128 letters, digits and . _ : / @ + -"},
    ),
]
# `addresses.to_hex` judges it: no schema tells addresses from other texts with dots.
Address = Annotated[
    str,
    Meta(
        extra_json_schema={"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
        extra={"must_be": "one IPv4 or IPv6 address; it may have a port or a zone"},
    ),
]


class Check(Struct, forbid_unknown_fields=True):
    """One check, as asked for."""

    key: Text
    meter: Text = "chat"
    units: Annotated[Units, Meta(description="0 looks without charging.")] = 1
    request_id: Annotated[
        RequestId | None,
        Meta(description="The same id of the same account is charged once within an hour."),
    ] = None
    ip: Annotated[
        Address | None,
        Meta(
            description="The customer's address, for keys that are bound to some. A port, brackets "
            "and a zone are understood."
        ),
    ] = None
    hold_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=24 * 3600,
            description="Hold instead of charging; settle it, or it is released by the clock.",
        ),
    ] = 0
    tag: Annotated[
        Tag | None,
        Meta(
            description="For whom you ask, such as the id of your end user: usage is told apart "
            "by it. No secret, and no name that nobody may see."
        ),
    ] = None
    model: Annotated[
        ModelName | None,
        Meta(
            description="Which model is asked. A key may name those that it may ask: without this "
            "member it is refused then."
        ),
    ] = None


class Batch(Struct, forbid_unknown_fields=True):
    """Several checks, each of which is read by itself: what is wrong with one is its own."""

    checks: Annotated[
        list[
            Annotated[
                Any,
                Meta(
                    description="Each is judged by itself: what is wrong with one is its problem.",
                    extra_json_schema={"$ref": _SCHEMAS + "Check"},
                ),
            ]
        ],
        Meta(
            min_length=1,
            max_length=MAX_BATCH,
            extra={"must_be": f"a list of 1 to {MAX_BATCH} checks"},
        ),
    ]


TokenCount = Annotated[int, Meta(ge=0, le=1_000_000_000)]


class Settle(Struct, forbid_unknown_fields=True):
    """What to keep of a hold."""

    charge_id: ChargeId
    units: Units
    model: Annotated[
        ModelName | None,
        Meta(description="Which model answered; recorded with its tokens."),
    ] = None
    tokens_in: Annotated[TokenCount, Meta(description="Of the question.")] = 0
    tokens_out: Annotated[TokenCount, Meta(description="Of the answer.")] = 0


class Extend(Struct, forbid_unknown_fields=True):
    """Which hold goes on, and for how long from now."""

    charge_id: ChargeId
    hold_seconds: Annotated[int, Meta(ge=1, le=24 * 3600)]


class Refund(Struct, forbid_unknown_fields=True):
    """What to give back."""

    charge_id: ChargeId


_TRUSTED = (
    "Counts only if the service token was issued with that trust; otherwise it is ignored: a "
    "customer can send any header that a gateway forgets to strip."
)


class Authorize(Struct):
    """What a gateway says in headers of its own, by their names."""

    meter: Annotated[
        Text, Meta(description="Ignored where the service token has a meter of its own.")
    ] = field(name="X-Quota-Meter", default="chat")
    units: Annotated[Units, Meta(description=f"0 looks without charging. {_TRUSTED}")] = field(
        name="X-Quota-Units", default=1
    )
    request_id: (
        Annotated[RequestId, Meta(description=f"Charged once within an hour. {_TRUSTED}")]
        | UnsetType
    ) = field(name="X-Quota-Request-Id", default=UNSET)
    tag: (
        Annotated[
            Tag,
            Meta(
                description="For whom the customer asks: usage is told apart by it. Counts only "
                "if the service token was issued with trust in X-Quota-Request-Id; otherwise it "
                "is ignored."
            ),
        ]
        | UnsetType
    ) = field(name="X-Quota-Tag", default=UNSET)
    client_ip: (
        Annotated[
            Address,
            Meta(
                description="The customer's address, for keys that are bound to some. "
                f"{_TRUSTED} Instead, a token may be issued with the number of proxies that add "
                "to X-Forwarded-For."
            ),
        ]
        | UnsetType
    ) = field(name="X-Quota-Client-IP", default=UNSET)


# --- what is answered -------------------------------------------------------------------------

_TOLD = [reason.value for reason in Reason if MEANINGS[reason].is_told]
_CODES = [
    "invalid_request",
    "invalid_service_token",
    "gateway_misconfigured",
    "not_found",
    "method_not_allowed",
    "request_id_conflict",
    "too_many_holds",
    "hold_expired",
    "settled_otherwise",
    "too_large",
    "unsupported_media_type",
    *sorted({meaning.code for meaning in MEANINGS.values() if meaning.status != 200}),
    "internal_error",
    "malformed_request",
    "head_too_large",
    "timed_out",
    "too_busy",
]
Whole = Annotated[int, Meta(ge=0)]
Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class BySource(Struct):
    """Chats of the allowance and of boosts, and credits."""

    allowance: Whole
    boost: Whole
    credits: Whole


class Remaining(Struct):
    """What is left to use, by source."""

    allowance: Annotated[Whole | None, Meta(description="Null is unlimited.")]
    boost: Whole
    credits: Annotated[
        int, Meta(description="As far as the customer lets them be spent. Below zero is owed.")
    ]


class Decision(Struct):
    """One decision. What nobody may know of an invalid key is left out."""

    allowed: bool
    reason: Annotated[
        str,
        Meta(
            description="A key that is bound to other addresses is an invalid_key. `…_reached` and "
            "`quota_exhausted` end with the week; the request is too large for any week where it "
            "is `above_…`. `spending_stopped`, `credits_switched_off`, `credit_ceiling_…` and "
            "`request_too_large` are what the customer chose to spend, for the account or the key. "
            "`rate_limited` (requests a minute) and `too_many_at_once` (open holds) are about how "
            "quickly it is asked, by the key or by all keys of the account. `model_not_permitted` "
            "is of keys that name the models they may ask, and of `model` here.",
            extra_json_schema={"enum": _TOLD},
        ),
    ]
    charge_id: str | UnsetType | None = UNSET
    account: str | UnsetType = UNSET
    key_id: Whole | UnsetType = UNSET
    plan: str | UnsetType = UNSET
    paid_by: BySource | UnsetType = UNSET
    remaining: Remaining | UnsetType = UNSET
    resets_at: Annotated[
        Moment | UnsetType | None,
        Meta(
            description="When the allowance resets; of a refusal that ends by itself, when that is."
        ),
    ] = UNSET
    retry_after: Annotated[
        Whole | UnsetType | None, Meta(description="Seconds; null where waiting does not help.")
    ] = UNSET


class Problem(Struct):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    code: Annotated[
        str, Meta(description="Stable; decide by it.", extra_json_schema={"enum": _CODES})
    ]
    detail: Annotated[str, Meta(description="A sentence for people.")]
    field: str | UnsetType = UNSET
    resets_at: Moment | UnsetType = UNSET
    billing_url: Annotated[str, Meta(extra_json_schema={"format": "uri"})] | UnsetType = UNSET
    spending_url: (
        Annotated[
            str,
            Meta(
                description="Where the choice stands that refuses.",
                extra_json_schema={"format": "uri"},
            ),
        ]
        | UnsetType
    ) = UNSET


class Undecided(Struct):
    """What stands for a check of a batch that could not be decided."""

    problem: Problem


class Decisions(Struct):
    """One decision or problem for each check of a batch, in their order."""

    decisions: Annotated[
        list[Any],
        Meta(
            extra_json_schema={
                "items": {
                    "anyOf": [{"$ref": _SCHEMAS + "Decision"}, {"$ref": _SCHEMAS + "Undecided"}]
                }
            }
        ),
    ]


_Done = Annotated[bool, Meta(extra_json_schema={"const": True})]


class Extended(Struct):
    """The hold goes on."""

    extended: _Done


class Settled(Struct):
    """What was kept of a hold."""

    settled: _Done
    already: bool
    kept: BySource


class Refunded(Struct):
    """What came back."""

    refunded: _Done
    already: bool
    returned: Annotated[
        BySource, Meta(description="Allowance chats of a week that has ended are gone: 0.")
    ]
