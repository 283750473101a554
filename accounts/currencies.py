"""The currencies that things may be sold in, and how amounts of any are written.

Without Django: settings are read by it.
"""

# With two decimals at Stripe, because prices are kept in hundredths; and what Stripe takes of each
# at the least, in hundredths.
LEAST = {
    "usd": 50,
    "eur": 50,
    "gbp": 30,
    "chf": 50,
    "cad": 50,
    "aud": 50,
    "nzd": 50,
    "sek": 3_00,
    "nok": 3_00,
    "dkk": 2_50,
    "pln": 2_00,
    "czk": 15_00,
    "sgd": 50,
    "hkd": 4_00,
    "brl": 50,
    "mxn": 10_00,
    "inr": 50,
}

# A dollar sign is of one dollar only, so that others are told from it.
SIGNS = {"usd": "$", "eur": "€", "gbp": "£"}

# As Stripe has them: what arrives may be in any.
_WITHOUT_PARTS = frozenset(
    [
        "bif",
        "clp",
        "djf",
        "gnf",
        "jpy",
        "kmf",
        "krw",
        "mga",
        "pyg",
        "rwf",
        "ugx",
        "vnd",
        "vuv",
        "xaf",
        "xof",
        "xpf",
    ]
)
_IN_THOUSANDTHS = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])


def decimals_of(currency: str) -> int:
    """How many decimals amounts in the smallest unit of a currency have."""
    if currency in _WITHOUT_PARTS:
        return 0
    return 3 if currency in _IN_THOUSANDTHS else 2
