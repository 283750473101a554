"""Stripe's secrets are whole or refused by name, and never shown; payment pages have an origin."""

from pathlib import Path

import pytest

from tests.site.test_settings import PRODUCTION, complaint, read

WHOLE = "0123456789abcdefABCDEF01"


@pytest.mark.parametrize("prefix", ["sk_live_", "sk_test_", "rk_live_", "rk_test_"])
def test_a_whole_key_is_accepted(tmp_path: Path, prefix: str) -> None:
    key = prefix + WHOLE
    found = read(tmp_path, {**PRODUCTION, "STRIPE_SECRET_KEY": key}, "STRIPE_SECRET_KEY")
    assert found["STRIPE_SECRET_KEY"] == key


@pytest.mark.parametrize(
    "value",
    [
        "sk_",
        "rk_",
        "sk_live_",
        "sk_live_hunter2",
        "sk_" + WHOLE,
        "sk_live" + WHOLE,
        "sk_live_…" + WHOLE,
        f"sk_live_{WHOLE} x",
        f"sk_live_{WHOLE},sk_live_{WHOLE}",
        f"sk_prod_{WHOLE}",
        f"pk_live_{WHOLE}",
        f"SK_LIVE_{WHOLE}",
        f"'sk_live_{WHOLE}'",
    ],
)
def test_half_a_key_is_refused_by_name_and_not_shown(tmp_path: Path, value: str) -> None:
    said = complaint(tmp_path, {**PRODUCTION, "STRIPE_SECRET_KEY": value})
    assert "STRIPE_SECRET_KEY" in said
    assert WHOLE not in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "value",
    [
        "whsec_",
        "whsec_hunter2",
        WHOLE,
        f"whsec_{WHOLE},",
        f"whsec_{WHOLE},whsec_",
        f"whsec_{WHOLE},{WHOLE}",
        f"whsec_{WHOLE} whsec_{WHOLE}",
        f"whsec_…{WHOLE}",
    ],
)
def test_half_a_webhook_secret_is_refused_by_name_and_not_shown(tmp_path: Path, value: str) -> None:
    said = complaint(tmp_path, {**PRODUCTION, "STRIPE_WEBHOOK_SECRET": value})
    assert "STRIPE_WEBHOOK_SECRET" in said
    assert WHOLE not in said
    assert "hunter2" not in said


def test_several_webhook_secrets_are_accepted(tmp_path: Path) -> None:
    both = f"whsec_{WHOLE}, whsec_2{WHOLE}"
    found = read(tmp_path, {**PRODUCTION, "STRIPE_WEBHOOK_SECRET": both}, "STRIPE_WEBHOOK_SECRETS")
    assert found["STRIPE_WEBHOOK_SECRETS"] == [f"whsec_{WHOLE}", f"whsec_2{WHOLE}"]


@pytest.mark.parametrize(
    ("variables", "origin"),
    [
        (PRODUCTION, "https://checkout.stripe.com"),
        (
            {**PRODUCTION, "STRIPE_CHECKOUT_ORIGIN": "https://pay.sansxel.example/"},
            "https://pay.sansxel.example",
        ),
        ({"PORT": "8123"}, "http://127.0.0.1:8123"),
        ({"SITE_URL": "http://localhost:9000/below"}, "http://localhost:9000"),
    ],
)
def test_forms_may_lead_to_where_payment_pages_are(
    tmp_path: Path, variables: dict[str, str], origin: str
) -> None:
    found = read(
        tmp_path, variables, "FORM_ACTIONS", "STRIPE_CHECKOUT_ORIGIN", "STRIPE_PORTAL_ORIGIN"
    )
    assert found["STRIPE_CHECKOUT_ORIGIN"] == origin
    portal = found["STRIPE_PORTAL_ORIGIN"]
    assert found["FORM_ACTIONS"] == ["'self'", *dict.fromkeys((origin, portal))]


def test_stripe_is_somewhere_else_in_development_only(tmp_path: Path) -> None:
    elsewhere = {"STRIPE_API_BASE": "http://127.0.0.1:9/stripe"}
    assert read(tmp_path, elsewhere, "STRIPE_API_BASE") == {**elsewhere, "inbox": True}
    found = read(tmp_path, {**PRODUCTION, **elsewhere}, "STRIPE_API_BASE")
    assert found["STRIPE_API_BASE"] is None


@pytest.mark.parametrize(
    ("given", "currency"),
    [({}, "usd"), ({"STRIPE_CURRENCY": "eur"}, "eur"), ({"STRIPE_CURRENCY": " CHF "}, "chf")],
)
def test_everything_is_sold_in_one_currency(
    tmp_path: Path, given: dict[str, str], currency: str
) -> None:
    assert read(tmp_path, {**PRODUCTION, **given}, "STRIPE_CURRENCY")["STRIPE_CURRENCY"] == currency


@pytest.mark.parametrize("value", ["jpy", "kwd", "xxx", "euro", "€", "", " "])
def test_a_currency_that_has_no_hundredths_or_is_none_is_refused_by_name_with_the_reason(
    tmp_path: Path, value: str
) -> None:
    said = complaint(tmp_path, {**PRODUCTION, "STRIPE_CURRENCY": value})
    assert "STRIPE_CURRENCY is" in said
    assert "prices are stored in hundredths" in said
    assert "eur" in said
