"""What Stripe does not do for us, and whether it helps to ask again."""


class StripeUnavailable(Exception):
    """Stripe gave no usable answer; trying again later may help."""


class StripeBusy(StripeUnavailable):
    """So many calls of this process are under way that Stripe was not asked."""


class StripeRefusesUs(StripeUnavailable):
    """Our key is wrong or lacks a right. It helps to ask again once somebody has mended that."""


class StripeRefuses(Exception):
    """Stripe does not do what was asked, however often.

    param: what was wrong, as Stripe names it. code: its name for why.
    """

    def __init__(self, message: str, *, param: str = "", code: str = "") -> None:
        super().__init__(message)
        self.param, self.code = param, code


class UnknownToStripe(StripeRefuses):
    """Stripe says that there is no such session."""


class AskedOtherwiseBefore(StripeRefuses):
    """The same was asked in other words before, and Stripe keeps to those."""


class CardRefused(StripeRefuses):
    """The customer's bank did not take a payment; another card may help. code: as Stripe's."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code
