"""What is sold to an account: nothing that it could not use, and all that is to be known before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrOrPromise

from accounts.models import Account
from billing.coming import Coming, coming_of
from billing.models import Product
from quotas import entitlements
from quotas.entitlements import Span
from quotas.models.plans import Pack

NO_CAP = _(
    "Your plan has no weekly cap, so a boost would not be used before its days are over. "
    "It is not sold to you now."
)


@dataclass(frozen=True, slots=True)
class Caps:
    """What an account is capped at from now on: caps in turn, each until a moment or for good."""

    in_turn: Sequence[tuple[int | None, datetime | None]]

    @property
    def has_none_now(self) -> bool:
        """Whether the week is unlimited."""
        return self.in_turn[0][0] is None

    def changes_before(self, ends_at: datetime) -> datetime | None:
        """When a cap begins where there is none now, or ends where there is one, by a moment."""
        for (cap, until), (following, _until) in zip(self.in_turn, self.in_turn[1:], strict=False):
            if until is None or until >= ends_at:
                return None
            if (cap is None) is not (following is None):
                return until
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A product as it is offered to an account.

    refused: why it is not sold now; "" where it is. cap_changes_at: when the week of a boost's
    buyer gets or loses its cap within the boost's days. pays_owed: credits of it that pay what is
    owed. waits: credits that nothing needs while the week has no cap.
    """

    product: Product
    coming: Coming
    refused: StrOrPromise
    has_cap_now: bool
    cap_changes_at: datetime | None
    pays_owed: int
    waits: bool


def caps_of(
    account: Account, in_turn: Sequence[Span], *, packs_now: Sequence[Pack] | None = None
) -> Caps:
    """The caps of an account whose plans in turn are known, and perhaps the packs of the first."""
    caps = entitlements.caps_in_turn(account, in_turn, of_first=packs_now)
    return Caps([(cap, span.ends_at) for cap, span in zip(caps, in_turn, strict=True)])


def caps_now(account: Account, *, at: datetime) -> Caps:
    """The same by what is written down now."""
    return caps_of(account, entitlements.spans_of([account], since=at)[account.pk])


def why_not_sold(product: Product, caps: Caps, *, at: datetime) -> StrOrPromise:
    """Why a product could not be used by whoever has these caps; "" where it could."""
    if product.kind == Product.Kind.CREDITS or not caps.has_none_now:
        return ""
    return "" if caps.changes_before(at + timedelta(days=product.valid_days)) else NO_CAP


def offers_of(
    products: Sequence[Product], caps: Caps, *, credits_per_chat: int, owed: int, at: datetime
) -> list[Offer]:
    """The products as they are offered to whoever has these caps and owes so many credits."""

    def offer(product: Product, coming: Coming) -> Offer:
        is_boost = product.kind == Product.Kind.BOOST
        ends_at = at + timedelta(days=product.valid_days)
        return Offer(
            product=product,
            coming=coming,
            refused=why_not_sold(product, caps, at=at),
            has_cap_now=not caps.has_none_now,
            cap_changes_at=caps.changes_before(ends_at) if is_boost else None,
            pays_owed=min(owed, product.credits),
            waits=not is_boost and caps.has_none_now,
        )

    drawn = coming_of(products, credits_per_chat=credits_per_chat, owed=owed)
    return [offer(product, coming) for product, coming in drawn]


def advised(offers: Sequence[Offer]) -> Offer | None:
    """For who cannot send another chat: the cheapest that lets the next one through."""
    helping = [offer for offer in offers if not offer.refused and offer.coming.chats > 0]
    return min(helping, key=lambda offer: offer.product.price_cents, default=None)
