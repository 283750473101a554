"""What the examples of the API reference send and get; tests hold them to the shapes."""

from typing import Any

_HELLO = [{"role": "user", "content": "Hello!"}]
_REPLY = "Hello! What are you working on?"
_CHARGE = "ch_9f2c…"
_WEEK = {"starts_at": "2026-03-30T00:00:00Z", "resets_at": "2026-04-06T00:00:00Z"}
_ONE = {"allowance": 1, "boost": 0, "credits": 0}
_MODEL = {
    "id": "sansxel-chat",
    "object": "model",
    "created": 1774828800,
    "owned_by": "sansxel",
    "endpoint": "chat",
    "chats": 1,
    "description": "Answers in words.",
}
_KEY = {
    "object": "key",
    "id": 17,
    "name": "website",
    "environment": "production",
    "masked": "sk_e5morGsQ…x7Kd",
    "state": "active",
    "scopes": ["chat"],
    "daily_cap": None,
    "weekly_cap": 500,
    "monthly_cap": None,
    "total_cap": None,
    "requests_a_minute": 600,
    "requests_at_once": None,
    "addresses": [],
    "models": [],
    "created_at": "2026-03-30T09:12:00Z",
    "expires_at": None,
    "old_secret": None,
    "last_used_at": None,
    "disabled_at": None,
    "revoked_at": None,
    "revoke_reason": "",
}
_TOKENS = {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17}
_DECISION = {
    "allowed": True,
    "reason": "ok",
    "charge_id": _CHARGE,
    "account": "e5morGsQ",
    "key_id": 17,
    "plan": "core",
    "paid_by": _ONE,
    "remaining": {"allowance": 87, "boost": 500, "credits": 500},
    "resets_at": _WEEK["resets_at"],
    "retry_after": None,
}

# By the shape that is asked for.
ASKED: dict[str, dict[str, Any]] = {
    "Chat": {"messages": _HELLO},
    "Completion": {"model": "sansxel-chat", "messages": _HELLO},
    "Image": {"prompt": "A lighthouse at dusk", "size": "1024x1024"},
    "Voice": {"text": "Good morning!", "format": "mp3"},
    "NewKey": {"name": "website", "scopes": ["chat"], "weekly_cap": 500},
    "KeyChanges": {"weekly_cap": 1000, "enabled": True},
    "Rotation": {"old_secret_stays": "24h"},
    "Revocation": {"reason": "The website was switched off."},
    "Check": {"key": "sk_…", "meter": "chat", "units": 1, "request_id": "your-own-id"},
    "Batch": {"checks": [{"key": "sk_…"}, {"key": "sk_…", "units": 0}]},
    "Settle": {"charge_id": _CHARGE, "units": 1, "model": "sansxel-chat", "tokens_out": 120},
    "Extend": {"charge_id": _CHARGE, "hold_seconds": 60},
    "Refund": {"charge_id": _CHARGE},
}
# By the shape that is answered.
ANSWERED: dict[str, dict[str, Any]] = {
    "Answer": {"text": _REPLY, "usage": {**_TOKENS, "finish_reason": "stop"}},
    "Media": {"media_type": "image/png", "data": "iVBORw0KGgo…", "usage": {}},
    "ChatCompletion": {
        "id": "chatcmpl-9f2c…",
        "object": "chat.completion",
        "created": 1774958400,
        "model": "sansxel-chat",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": _REPLY},
                "finish_reason": "stop",
            }
        ],
        "usage": _TOKENS,
    },
    "Models": {"object": "list", "data": [_MODEL]},
    "Model": _MODEL,
    "Quota": {
        "account": "e5morGsQ",
        "plan": "core",
        "suspended": False,
        "week": {**_WEEK, "cap": 500, "used": 413},
        "remaining": {"allowance": 87, "boost": 500, "credits": 500, "chats": 837},
        "credits": 2000,
        "credits_per_chat": 2,
        "spending": {
            "past_allowance": "boosts_and_credits",
            "credits": 500,
            "units_a_request": None,
        },
        "requests": {"a_minute": 600, "left": 588, "at_once": None, "open": None},
    },
    "Key": _KEY,
    "CreatedKey": {**_KEY, "key": "sk_e5morGsQ…"},
    "Keys": {"object": "list", "data": [_KEY], "next": None},
    "Usage": {
        "object": "usage",
        "account": "e5morGsQ",
        "starts_at": "2026-03-09T00:00:00Z",
        "ends_at": "2026-04-06T00:00:00Z",
        "zone": "UTC",
        "chats": 1412,
        "credits": 0,
        "bars": [{"starts_at": "2026-03-09T00:00:00Z", "chats": 74, "refused": 0}],
        "by": "model",
        "parts": [{"id": "sansxel-chat", "name": "sansxel-chat", "chats": 1412, "credits": 0}],
        "others": 0,
        "refused": {"quota_exhausted": 3},
        "tokens": [
            {"model": "sansxel-chat", "answers": 1412, "tokens_in": 21408, "tokens_out": 96310}
        ],
        "as_of": "2026-04-03T14:10:00Z",
    },
    "Decision": _DECISION,
    "Decisions": {
        "decisions": [_DECISION, {"allowed": False, "reason": "invalid_key", "charge_id": None}]
    },
    "Settled": {"settled": True, "already": False, "kept": _ONE},
    "Extended": {"extended": True},
    "Refunded": {"refunded": True, "already": False, "returned": _ONE},
}
