"""Alerts in words: the heading of a mail and a line of the log, and what follows it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import money, numbers
from accounts.numbers import thousands
from alerts.models import Alert, Kind


def heading_of(alert: Alert) -> str:
    """One line without a full stop."""
    return _HEADINGS[Kind(alert.kind)](alert.data)


def sentences_of(alert: Alert) -> list[str]:
    """What there is to know besides; paragraphs of plain text."""
    words = _SENTENCES.get(Kind(alert.kind))
    return words(alert.data) if words else []


def _reached(data: dict[str, Any]) -> str:
    return _("%(percent)s %% of this week’s allowance is used") % {"percent": data["percent"]}


def _what_is_left(data: dict[str, Any]) -> list[str]:
    boosts, credits = data["boost_left"], data["credits_left"]
    if boosts and credits > 0:
        then = _("After the allowance, %(boosts)s of boosts and then %(credits)s can pay.")
    elif boosts:
        then = _("After the allowance, %(boosts)s of boosts can pay.")
    elif credits > 0:
        then = _("After the allowance, %(credits)s can pay.")
    else:
        then = _("There is no boost and no credit: after the allowance, requests are refused.")
    used = _("%(used)s of %(cap)s are used.") % {
        "used": thousands(data["used"]),
        "cap": numbers.chats(data["cap"]),
    }
    spare = {"boosts": numbers.chats(boosts), "credits": numbers.credits(credits)}
    return [f"{used} {_begins_anew(data)}", then % spare]


def _overflow(data: dict[str, Any]) -> list[str]:
    boosts, credits = data["boost_chats"], data["credit_chats"]
    if boosts and credits:
        pays = _(
            "The allowance is used up, and what you have on top pays now: "
            "%(boosts)s from boosts and %(credits)s from credits so far."
        )
    elif boosts:
        pays = _(
            "The allowance is used up, and what you have on top pays now: "
            "%(boosts)s from boosts so far."
        )
    else:
        pays = _(
            "The allowance is used up, and what you have on top pays now: "
            "%(credits)s from credits so far."
        )
    paid = {"boosts": numbers.chats(boosts), "credits": numbers.chats(credits)}
    left = {
        "boosts": numbers.chats(data["boost_left"]),
        "credits": numbers.credits(data["credits_left"]),
    }
    return [
        f"{pays % paid} {_begins_anew(data)}",
        _("Left: %(boosts)s of boosts, %(credits)s.") % left,
    ]


def _low_credits(data: dict[str, Any]) -> list[str]:
    return [
        _("You wanted to know when there are fewer than %(credits)s.")
        % {"credits": numbers.credits(data["below"])},
        _("When they are used up, requests past your allowance and boosts are refused."),
    ]


def _key_habit(data: dict[str, Any]) -> list[str]:
    sent = _("The key “%(key)s” (%(masked)s) sent %(chats)s on %(day)s; usual are %(usual)s a day.")
    said = {
        "key": data["key"],
        "masked": data["masked"],
        "chats": numbers.chats(data["chats"]),
        "day": data["day"],
        "usual": thousands(data["usual"]),
    }
    return [
        sent % said,
        _("If you do not know why, somebody else may have it: revoke it, and create another."),
    ]


def _boost_ending(data: dict[str, Any]) -> list[str]:
    ends = _("They end on %(moment)s. What is not used by then is gone.")
    said = [ends % {"moment": _moment(data["ends_at"])}]
    if data["allowance_left"]:
        first = _("The week’s allowance pays before them: %(chats)s of it are left.")
        said.append(first % {"chats": numbers.chats(data["allowance_left"])})
    return said


def _receipt(data: dict[str, Any]) -> list[str]:
    paid = _("%(amount)s for %(product)s, paid on %(moment)s.")
    said = [
        paid
        % {"amount": _paid(data), "product": _product(data), "moment": _moment(data["paid_at"])}
    ]
    if "chats" in data:
        given = _("It gives %(chats)s on top of your allowance, until %(moment)s.")
        gives = {"chats": numbers.chats(data["chats"]), "moment": _moment(data["ends_at"])}
    else:
        given = _(
            "It gives %(credits)s, enough for %(chats)s past your allowance and boosts. "
            "They have no end date."
        )
        gives = {
            "credits": numbers.credits(data["credits"]),
            "chats": numbers.chats(data["credits"] // data["credits_per_chat"]),
        }
    said.append(given % gives)
    if data.get("paid_owed"):
        first = _("What was owed is paid with it first: %(credits)s.")
        said.append(first % {"credits": numbers.credits(data["paid_owed"])})
    return said


def _money_back(data: dict[str, Any]) -> list[str]:
    said = [_why_back(data) % {"returned": _money(data, "returned_cents"), "paid": _paid(data)}]
    chats, credits = data["taken_chats"], data["taken_credits"]
    if data["kind"] == "boost" and chats:
        taken = _("What it had paid for is taken back with it: %(chats)s.")
        said.append(taken % {"chats": numbers.chats(chats)})
        if credits:
            used = _("Some of these were used already, and are owed: %(credits)s.")
            said.append(used % {"credits": numbers.credits(credits)})
    elif credits:
        taken = _("What it had paid for is taken back with it: %(credits)s.")
        said.append(taken % {"credits": numbers.credits(credits)})
    elif not chats and data["before_cents"] > data["returned_cents"]:
        said.append(_("What it had paid for is there again."))
    if data["owed_credits"]:
        owed = _("Your account owes %(credits)s now. The next credits pay that first.")
        said.append(owed % {"credits": numbers.credits(data["owed_credits"])})
    return said


def _why_back(data: dict[str, Any]) -> str:
    returned, by_bank = data["returned_cents"], data["by_bank_cents"]
    if returned < data["before_cents"]:
        return _(
            "A refund did not arrive, or a dispute was decided: of %(paid)s, %(returned)s are "
            "with you now."
        )
    if by_bank is None:
        return _("By a refund or by your bank, %(returned)s of %(paid)s went back altogether.")
    if by_bank == 0:
        return _("By a refund, %(returned)s of %(paid)s went back altogether.")
    if by_bank >= returned:
        return _(
            "Your bank took it back because the payment was disputed: %(returned)s of %(paid)s "
            "altogether."
        )
    return _(
        "By a refund and by your bank, because the payment was disputed, %(returned)s of %(paid)s "
        "went back altogether."
    )


def _money_went(data: dict[str, Any]) -> str:
    """All of it together: of what went back before, nobody may have been told in time."""
    if data["returned_cents"]:
        went = _("%(returned)s of %(paid)s for %(product)s went back to you")
    else:
        went = _("%(paid)s for %(product)s came to us again")
    returned = _money(data, "returned_cents")
    return went % {"returned": returned, "paid": _paid(data), "product": _product(data)}


def _paid(data: dict[str, Any]) -> str:
    return _money(data, "paid_cents")


def _money(data: dict[str, Any], name: str) -> str:
    return money.amount(data[name], data["currency"])


def _product(data: dict[str, Any]) -> str:
    """As pages name it: what every site begins with, in the reader's language."""
    return _(data["product"])


def _boost_ends(data: dict[str, Any]) -> str:
    left: int = data["chats_left"]
    return ngettext(
        "%(n)s unused chat of a boost ends soon", "%(n)s unused chats of a boost end soon", left
    ) % {"n": thousands(left)}


def _receipt_of(data: dict[str, Any]) -> str:
    return _("Receipt: %(product)s, %(amount)s") % {
        "product": _product(data),
        "amount": _paid(data),
    }


def _plan_said(data: dict[str, Any]) -> str:
    said = {
        "begun": _("You are on %(plan)s"),
        "better": _("You are on %(paid)s now"),
        "lesser": _("From the next period on it is %(plan)s"),
        "stays": _("%(plan)s stays as it is"),
        "ending": _("%(paid)s is cancelled and ends with its period"),
        "goes on": _("%(plan)s goes on"),
        "paid": _("%(plan)s is paid"),
        "over": _("%(plan)s is over"),
        "unpaid": _("%(plan)s could not be renewed"),
    }[data["what"]]
    return said % _plans_of(data)


def _plans_of(data: dict[str, Any]) -> dict[str, str]:
    """What the next period is of, and what this one is."""
    plan = numbers.with_seats(data["plan"], data.get("seats"))
    paid = numbers.with_seats(data["paid_plan"], data.get("paid_seats"))
    return {"plan": plan, "paid": paid or plan}


def _plan_sentences(data: dict[str, Any]) -> list[str]:
    words = {
        **_plans_of(data),
        "price": money.by_period(_money(data, "amount_cents"), data["interval"]),
        "renews": _moment(data["renews_at"]),
        "ends": _moment(data["plan_ends_at"]) if data["plan_ends_at"] else "",
    }
    renews = [
        _("It renews on %(renews)s for %(price)s, until you cancel."),
        *([_("Your discount is taken off the price.")] if data.get("is_discounted") else []),
        *([_("Taxes come on top of the price.")] if data.get("is_taxed") else []),
    ]
    better = _("The rest of this period is paid. It counts for the very next chat.")
    said = {
        "begun": [_("It counts for the very next chat."), *renews],
        "better": [better, *renews],
        "lesser": [
            _("%(paid)s stays until %(renews)s, which is paid. Then it is %(plan)s, %(price)s."),
        ],
        "stays": renews,
        "ending": [
            _("It stays until %(renews)s and is not charged again."),
            _("Until then you can change your mind on the billing page."),
        ],
        "goes on": renews,
        "paid": [_("Thank you. Nothing has changed for your programs."), *renews],
        "over": [
            _("The account has what is free now. Boosts and credits are kept."),
            _("You can choose a plan again at any time."),
        ],
        "unpaid": [
            _("%(price)s could not be charged."),
            *([_("%(paid)s goes on until %(ends)s.")] if words["ends"] else []),
            _("Pay the invoice or choose another card by then, and nothing changes."),
        ],
    }[data["what"]]
    return [sentence % words for sentence in said]


def _top_up_stopped(data: dict[str, Any]) -> list[str]:
    why = {
        "card_refused": _("Your card (%(card)s) was refused, and it is not tried again."),
        "bank_asks": _(
            "The bank of your card (%(card)s) wants to hear from you before it pays. Buy the "
            "credits yourself, and confirm it there."
        ),
        "no_card": _("The card is not there any more. Save another one."),
        "changed": _("The pack costs or gives something else now. Look at it, and choose again."),
        "not_on_sale": _("The pack is not on sale any more. Choose another one."),
    }.get(data["why"], _("The payment did not go as it should, and a person looks at it."))
    left = _("%(credits)s are left. When they are used up, chats past your allowance are refused.")
    return [
        why % {"card": data["card"]},
        left % {"credits": numbers.credits(max(0, data["credits_left"]))},
    ]


def _endpoint_off(data: dict[str, Any]) -> list[str]:
    return [
        _("%(url)s has not taken what we sent since %(moment)s.")
        % {"url": data["url"], "moment": _moment(data["since"])},
        _("Nothing more is sent to it until you switch it on again."),
        _("What it missed is in the log, from where you can send it again."),
    ]


def _begins_anew(data: dict[str, Any]) -> str:
    return _("The week begins anew on %(moment)s.") % {"moment": _moment(data["resets_at"])}


def _moment(text: str) -> str:
    return f"{date_format(datetime.fromisoformat(text), 'LONG_WEEKDAY_AND_TIME_FORMAT')} UTC"


def _credits_left(data: dict[str, Any]) -> str:
    left = max(0, data["credits_left"])
    return ngettext("%(n)s credit left", "%(n)s credits left", left) % {"n": thousands(left)}


def _habit_broken(data: dict[str, Any]) -> str:
    return _("“%(key)s” is used far more than usual") % {"key": data["key"]}


def _of_the_week(data: dict[str, Any]) -> str:
    return _("Your week until %(day)s: %(chats)s") % {
        "day": date_format(datetime.fromisoformat(data["week_ends_at"]), "LONG_DAY_FORMAT"),
        "chats": numbers.chats(data["total"]),
    }


_HEADINGS: dict[Kind, Callable[[dict[str, Any]], str]] = {
    Kind.WEEK_50: _reached,
    Kind.WEEK_80: _reached,
    Kind.WEEK_100: lambda _data: _("This week’s allowance is used up"),
    Kind.OVERFLOW: lambda _data: _("Boosts or credits pay now"),
    Kind.LOW_CREDITS: _credits_left,
    Kind.BOOST_ENDING: _boost_ends,
    Kind.KEY_HABIT: _habit_broken,
    Kind.RECEIPT: _receipt_of,
    Kind.MONEY_BACK: _money_went,
    Kind.TOP_UP_STOPPED: lambda _data: _("Auto top-up has stopped"),
    Kind.PLAN: _plan_said,
    Kind.PLAN_UNPAID: _plan_said,
    Kind.SUMMARY: _of_the_week,
    Kind.ENDPOINT_OFF: lambda _data: _("A webhook was switched off"),
    Kind.TEST: lambda _data: _("Test of a webhook"),
}
_SENTENCES: dict[Kind, Callable[[dict[str, Any]], list[str]]] = {
    Kind.WEEK_50: _what_is_left,
    Kind.WEEK_80: _what_is_left,
    Kind.WEEK_100: _what_is_left,
    Kind.OVERFLOW: _overflow,
    Kind.LOW_CREDITS: _low_credits,
    Kind.BOOST_ENDING: _boost_ending,
    Kind.KEY_HABIT: _key_habit,
    Kind.RECEIPT: _receipt,
    Kind.MONEY_BACK: _money_back,
    Kind.TOP_UP_STOPPED: _top_up_stopped,
    Kind.PLAN: _plan_sentences,
    Kind.PLAN_UNPAID: _plan_sentences,
    Kind.ENDPOINT_OFF: _endpoint_off,
}
