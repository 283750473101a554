"""Which page answers which address below the mount."""

from typing import Any

from stripe_sandbox import developer
from stripe_sandbox.pages import checkout, frame, intents, invoices, overview, portal, receipts

GET = ("GET",)
BOTH = ("GET", "POST")

ADDRESSES: tuple[tuple[str, Any, tuple[str, ...]], ...] = (
    ("/", overview.overview, BOTH),
    ("/checkout.css", frame.style_sheet, GET),
    ("/pay/{session_id}", checkout.pay_page, BOTH),
    ("/developer/clock", developer.clock, BOTH),
    ("/developer/switches", developer.switchboard, BOTH),
    ("/developer/disputes/{dispute_id}", developer.dispute, ("POST",)),
    ("/developer/events/{event_id}/send", developer.send_event, ("POST",)),
    ("/intents/{intent_id}/{secret}", intents.authentication, BOTH),
    ("/portal/{secret}", portal.portal, BOTH),
    ("/receipts/{charge_id}", receipts.receipt, GET),
    ("/invoices/{invoice_id}", invoices.invoice_page, BOTH),
    ("/invoices/{invoice_id}/pdf", receipts.invoice_pdf, GET),
    ("/pay/{session_id}/authenticate/{attempt_id}", checkout.authentication, BOTH),
)
