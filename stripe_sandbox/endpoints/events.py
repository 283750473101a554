"""/v1/events and /v1/webhook_endpoints"""

from stripe_sandbox.books import Json
from stripe_sandbox.calls import Call, page_of
from stripe_sandbox.objects.events import webhook_endpoint
from stripe_sandbox.webhooks import secret_of

KEPT_SECONDS = 30 * 24 * 3600
MOST_TYPES = 20
MOST_ENDPOINTS = 16


def retrieve(call: Call, event_id: str) -> Json:
    """GET /v1/events/{id}"""
    return _as_it_stands(call, call.find("event", event_id))


def list_all(call: Call) -> Json:
    """GET /v1/events: the last thirty days"""
    params = call.params
    kind, types = params.text("type"), params.texts("types")
    if kind and types:
        params.refuse("types", "You may only specify one of these parameters: type, types.")
    if len(types) > MOST_TYPES:
        params.refuse("types", f"You may specify up to {MOST_TYPES} types.")
    page = page_of(
        call,
        "event",
        "/v1/events",
        among={"type": types},
        since=call.at - KEPT_SECONDS,
        delivered=params.flag("delivery_success"),
        type=kind,
    )
    page["data"] = [_as_it_stands(call, event) for event in page["data"]]
    return page


def create_endpoint(call: Call) -> Json:
    """POST /v1/webhook_endpoints: its secret is told this once"""
    params = call.params
    url = params.url("url") or params.required("url")
    enabled = _enabled(call)
    if not enabled:
        params.required("enabled_events")
    params.text("api_version")
    params.flag("connect")
    known = [one for one in call.books.every("webhook_endpoint") if not one.get("deleted")]
    if len(known) >= MOST_ENDPOINTS:
        params.refuse("url", f"You have reached the maximum of {MOST_ENDPOINTS} test endpoints.")
    made = webhook_endpoint(
        at=call.at,
        url=url,
        enabled_events=enabled,
        description=params.text("description"),
        metadata=params.metadata(),
    )
    call.books.add(made)
    return {**made, "secret": secret_of(made["id"], configuration=call.books.configuration)}


def retrieve_endpoint(call: Call, endpoint_id: str) -> Json:
    """GET /v1/webhook_endpoints/{id}"""
    return call.find("webhook_endpoint", endpoint_id)


def update_endpoint(call: Call, endpoint_id: str) -> Json:
    """POST /v1/webhook_endpoints/{id}"""
    known, params = call.find("webhook_endpoint", endpoint_id), call.params
    known["url"] = params.url("url") or known["url"]
    if params.has("description"):
        known["description"] = params.text("description")
    if params.has("enabled_events"):
        known["enabled_events"] = _enabled(call)
    disabled = params.flag("disabled")
    if disabled is not None:
        known["status"] = "disabled" if disabled else "enabled"
    known["metadata"] = params.metadata_onto(known["metadata"])
    call.books.save(known)
    return known


def delete_endpoint(call: Call, endpoint_id: str) -> Json:
    """DELETE /v1/webhook_endpoints/{id}"""
    known = call.find("webhook_endpoint", endpoint_id)
    call.books.sendings.forget(endpoint_id)
    call.books.save({**known, "deleted": True, "status": "disabled"})
    return {"id": endpoint_id, "object": "webhook_endpoint", "deleted": True}


def list_endpoints(call: Call) -> Json:
    """GET /v1/webhook_endpoints: those beside the one that the sandbox was started with"""
    page = page_of(call, "webhook_endpoint", "/v1/webhook_endpoints")
    page["data"] = [one for one in page["data"] if not one.get("deleted")]
    return page


def _enabled(call: Call) -> list[str]:
    kinds = call.params.texts("enabled_events")
    for kind in kinds:
        if kind != "*" and "." not in kind:
            call.params.refuse("enabled_events", f"Invalid event type: {kind[:60]}")
    return kinds


def _as_it_stands(call: Call, event: Json) -> Json:
    return {**event, "pending_webhooks": call.books.sendings.pending(event["id"])}
