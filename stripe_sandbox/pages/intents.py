"""The bank's page: a payment that was begun while its payer was away, and is finished by them."""

from urllib.parse import urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import Response

from stripe_sandbox.acts import charging
from stripe_sandbox.books import Books, Json
from stripe_sandbox.configuration import Configuration
from stripe_sandbox.objects.payments import payment_error
from stripe_sandbox.pages import frame
from stripe_sandbox.pages.frame import form_of, see_other
from stripe_sandbox.store import Store


def authentication(
    request: Request, body: bytes, *, store: Store, configuration: Configuration
) -> Response:
    """The bank's question about a payment, or the answer to it."""
    secret = request.path_params["secret"]
    with store.write(configuration) as books:
        visit = books.get("visit", f"visit_{secret}")
        intent = books.get("payment_intent", request.path_params["intent_id"])
        if visit is None or intent is None or visit["intent"] != intent["id"]:
            return frame.missing(configuration)
        redirect = (intent["next_action"] or {}).get("redirect_to_url") or {}
        if not redirect.get("url", "").endswith(secret):
            # It was answered, or another try took its place.
            return _back(intent, visit["return_url"])
        if request.method == "POST":
            _answer(books, intent, passed=form_of(body).get("result") == "complete")
            return _back(intent, visit["return_url"])
        method = books.known("payment_method", intent["payment_method"])
        return frame.page(
            "authenticate.html",
            configuration=configuration,
            form_action=frame.actions(visit["return_url"]),
            session={"amount_total": intent["amount"], "currency": intent["currency"]},
            last4=method[method["type"]]["last4"],
            path=None,
        )


def _answer(books: Books, intent: Json, *, passed: bool) -> None:
    if passed:
        method = books.known("payment_method", intent["payment_method"])
        charging.take(books, intent, method, authenticated=True)
        return
    error = payment_error(
        code="payment_intent_authentication_failure",
        message=charging.AUTHENTICATION_FAILED,
        kind="invalid_request_error",
    )
    charging.fail(books, intent, error=error)


def _back(intent: Json, return_url: str) -> Response:
    parts = urlsplit(return_url)
    told = urlencode(
        {
            "payment_intent": intent["id"],
            "payment_intent_client_secret": intent["client_secret"],
            "redirect_status": "succeeded" if intent["status"] == "succeeded" else "failed",
        }
    )
    query = f"{parts.query}&{told}" if parts.query else told
    return see_other(urlunsplit(parts._replace(query=query)))
