"""The shapes of events and of the endpoints they are sent to."""

from stripe_sandbox.books import Cause, Json
from stripe_sandbox.objects.ids import API_VERSION, new_id


def event(
    *, kind: str, thing: Json, at: int, cause: Cause, endpoints: int, previous: Json | None
) -> Json:
    """A notice that something happened, with the object as it was at that moment."""
    data = {"object": thing}
    if previous is not None:
        data["previous_attributes"] = previous
    return {
        "id": new_id("evt_1"),
        "object": "event",
        "api_version": API_VERSION,
        "created": at,
        "data": data,
        "livemode": False,
        "pending_webhooks": endpoints,
        "request": {"id": cause.request_id, "idempotency_key": cause.idempotency_key},
        "type": kind,
    }


def changed_from(before: Json, after: Json) -> Json:
    """What was different before: only the fields that changed, lists as a whole."""
    changes: Json = {}
    for name, value in after.items():
        old = before.get(name)
        if old == value:
            continue
        if isinstance(old, dict) and isinstance(value, dict) and "object" not in value:
            changes[name] = changed_from(old, value)
        else:
            changes[name] = old
    gone = {name: old for name, old in before.items() if name not in after}
    return {**changes, **gone}


def webhook_endpoint(
    *,
    at: int,
    url: str,
    enabled_events: list[str],
    description: str | None,
    metadata: dict[str, str],
) -> Json:
    """An endpoint beside the one that the sandbox was started with."""
    return {
        "id": new_id("we_1"),
        "object": "webhook_endpoint",
        "api_version": None,
        "application": None,
        "created": at,
        "description": description,
        "enabled_events": enabled_events,
        "livemode": False,
        "metadata": metadata,
        "status": "enabled",
        "url": url,
    }
