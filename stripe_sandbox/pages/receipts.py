"""What a payer may keep: the receipt of a charge, and an invoice, also as a PDF."""

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from stripe_sandbox import templates
from stripe_sandbox.books import Books, Json
from stripe_sandbox.configuration import Configuration
from stripe_sandbox.pages import frame, pdf
from stripe_sandbox.store import Store


def receipt(
    request: Request, body: bytes, *, store: Store, configuration: Configuration
) -> Response:
    """The receipt of a charge."""
    with store.read(configuration) as books:
        charge = books.get("charge", request.path_params["charge_id"])
        if charge is None or not charge["receipt_url"]:
            return frame.missing(configuration)
        return frame.page(
            "receipt.html",
            configuration=configuration,
            charge=charge,
            card=_card(charge),
            lines=_lines(books, charge),
            day=day(charge["created"]),
        )


def invoice_pdf(
    request: Request, body: bytes, *, store: Store, configuration: Configuration
) -> Response:
    """An invoice as a file."""
    with store.read(configuration) as books:
        invoice = books.get("invoice", request.path_params["invoice_id"])
    if invoice is None:
        return frame.missing(configuration)
    currency = invoice["currency"]
    lines = [
        f"{line['description']}    {templates.money(line['amount'], currency)}"
        for line in invoice["lines"]["data"]
    ]
    content = pdf.document(
        f"Invoice {invoice['number']}",
        [
            f"{configuration.merchant} - sandbox, no real money",
            f"Date: {day(invoice['created'])}",
            f"Bill to: {invoice['customer_name'] or ''} {invoice['customer_email'] or ''}",
            "",
            *lines,
            "",
            f"Total: {templates.money(invoice['total'], currency)}",
            f"Amount due: {templates.money(invoice['amount_remaining'], currency)}",
            f"Status: {invoice['status']}",
        ],
    )
    name = f"Invoice-{invoice['number']}.pdf"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
    }
    return Response(content, media_type="application/pdf", headers=headers)


def day(moment: float) -> str:
    """A date for people."""
    return datetime.fromtimestamp(moment, UTC).strftime("%-d %B %Y")


def _card(charge: Json) -> str:
    details = charge["payment_method_details"]
    told = details[details["type"]]
    return f"{str(told.get('brand', 'bank account')).title()} ending in {told['last4']}"


def _lines(books: Books, charge: Json) -> list[Json]:
    for session in books.every("checkout.session", payment_intent=charge["payment_intent"]):
        return [
            {"description": item["description"], "amount": item["amount_total"]}
            for item in books.children("item", session["id"])
        ]
    return [{"description": charge["description"] or "Payment", "amount": charge["amount"]}]
