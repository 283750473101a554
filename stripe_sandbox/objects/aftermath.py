"""The shapes of what may follow a charge: refunds, disputes, warnings of fraud."""

from stripe_sandbox.books import Json
from stripe_sandbox.objects.ids import new_id

ANSWER_WITHIN_SECONDS = 9 * 24 * 3600
EVIDENCE = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
)


def refund(
    *, at: int, charge: Json, amount: int, reason: str | None, metadata: dict[str, str]
) -> Json:
    """Money on its way back, which is there at once unless its card says otherwise."""
    return {
        "id": new_id("re_3"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": at,
        "currency": charge["currency"],
        "customer": charge["customer"],
        "customer_account": None,
        "destination_details": destination(charge),
        "metadata": metadata,
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }


def left_of(charge: Json) -> int:
    """What can still be given back of a charge."""
    return int(charge["amount_captured"] - charge["amount_refunded"])


def destination(charge: Json) -> Json:
    """Where refunded money went: back to where it came from."""
    if charge["payment_method_details"]["type"] == "us_bank_account":
        transfer = {"reference": None, "reference_status": "pending"}
        return {"type": "us_bank_transfer", "us_bank_transfer": transfer}
    card = {
        "reference": "sandbox",
        "reference_status": "available",
        "reference_type": "acquirer_reference_number",
        "type": "refund",
    }
    return {"card": card, "type": "card"}


def dispute(*, at: int, charge: Json, amount: int, status: str) -> Json:
    """A payer's objection, or (`warning_…`) only a question of their bank."""
    is_inquiry = status.startswith("warning")
    brand = charge["payment_method_details"].get("card", {}).get("brand", "visa")
    return {
        "id": new_id("du_1"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": at,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": at + ANSWER_WITHIN_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": is_inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {
            "card": {
                "brand": brand,
                "case_type": "inquiry" if is_inquiry else "chargeback",
                "network": brand,
                "network_reason_code": "10.4",
            },
            "type": "card",
        },
        "reason": "general" if is_inquiry else "fraudulent",
        "status": status,
    }


def balance_transaction(*, at: int, dispute: Json, amount: int, fee: int) -> Json:
    """Money that a dispute moved."""
    details = {
        "amount": fee,
        "application": None,
        "currency": dispute["currency"],
        "description": "Dispute fee",
        "type": "stripe_fee",
    }
    return {
        "id": new_id("txn_1"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": at,
        "balance_type": "payments",
        "created": at,
        "currency": dispute["currency"],
        "description": f"Chargeback {'withdrawal' if amount < 0 else 'reversal'}",
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [details],
        "net": amount - fee,
        "reporting_category": "dispute" if amount < 0 else "dispute_reversal",
        "source": dispute["id"],
        "status": "available",
        "type": "adjustment",
    }


def early_fraud_warning(*, at: int, charge: Json) -> Json:
    """An issuer's report that a charge may be fraud; refunding it avoids a dispute."""
    return {
        "id": new_id("issfr_1"),
        "object": "radar.early_fraud_warning",
        "actionable": True,
        "charge": charge["id"],
        "created": at,
        "fraud_type": "made_with_stolen_card",
        "livemode": False,
        "payment_intent": charge["payment_intent"],
    }
