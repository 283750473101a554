"""Names that people choose: what they may be made of, and how long they look.

A name is shown beside other people's names, in mails, lists and files. So what cannot be seen,
moves other text about or breaks a line is refused. Joiners are kept where scripts and emoji need
them.
"""

import unicodedata

from gate.terms.told import Told
from gate.terms.told import gettext_noop as _

_ZWNJ, _ZWJ = "\u200c", "\u200d"
_JOINERS = {_ZWNJ, _ZWJ}
_DIRECTION = {
    chr(c) for c in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
# Letters, marks and symbols that show nothing, beside all of category Cf.
_INVISIBLE = {
    chr(c)
    for c in (
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2065, 0x2800),
        *(0x3164, 0xFFA0, *range(0xFFF0, 0xFFFC)),
        *(*range(0xE0000, 0xE0100), *range(0xE01F0, 0xE1000)),
    )
}
# Signs that stand before the digits they belong to: formally Cf, and seen.
_SEEN_FORMATS = {chr(c) for c in (*range(0x0600, 0x0606), 0x06DD, 0x08E2)}
_MARKS = {"Mn", "Mc", "Me"}
# Scripts whose letters never need a joiner between them.
_UNJOINED = ("LATIN", "GREEK", "CYRILLIC", "HEBREW", "CJK", "HANGUL", "HIRAGANA", "KATAKANA")
# Nothing that is written stacks more.
_MARKS_AT_MOST = 6
# With the character that is in the way.
_UNSEEN = _("%(label)s must not have characters that cannot be seen (%(character)s).")
_BREAKS = _(
    "%(label)s must not have line breaks, tabs or other control characters (%(character)s)."
)
_MEANINGLESS = _("%(label)s must not have characters that mean nothing to others (%(character)s).")
_TURNS = _("%(label)s must not have characters that change the direction of text (%(character)s).")
_BARE_MARK = _("%(label)s must not have marks without a letter before them (%(character)s).")
_TOO_LONG = _("%(label)s may have at most %(longest)s characters.")
_BY_CATEGORY = {
    **dict.fromkeys(("Cc", "Zl", "Zp"), _BREAKS),
    **dict.fromkeys(("Cs", "Co"), _MEANINGLESS),
    "Cf": _UNSEEN,
}


class CannotName(Told):
    """The text is no name; the message says why and names the field."""


def clean_name(text: str, *, longest: int, parts: int, label: str = "Name") -> str:
    """The name as it is kept: NFC, trimmed, with single blanks. Raises CannotName.

    longest: characters as people count them. parts: code points, of which one may have several.
    """
    # Before the work on it: a megabyte is no name.
    if len(text) > 10 * parts:
        raise CannotName(_TOO_LONG, label=label, longest=longest)
    name = _tidy(text)
    if not name:
        raise CannotName(_("%(label)s must not be empty or only blanks."), label=label)
    for index, character in enumerate(name):
        if reason := _why_not(name, index):
            raise CannotName(reason, label=label, character=f"U+{ord(character):04X}")
    if not any(unicodedata.category(character)[0] in "LNPS" for character in name):
        raise CannotName(_("%(label)s must have something that can be seen."), label=label)
    if _longest_stack(name) > _MARKS_AT_MOST:
        raise CannotName(_("%(label)s has too many marks on one letter."), label=label)
    if visible_length(name) > longest or len(name) > parts:
        raise CannotName(_TOO_LONG, label=label, longest=longest)
    return name


def mend_name(text: str, *, longest: int, parts: int, instead: str) -> str:
    """A name from a text that nobody chose as one: what may not be in it is left out."""
    name = _tidy(text)[: 4 * parts]
    # What stood beside something that goes may have to go, too.
    while bad := [index for index in range(len(name)) if _why_not(name, index)]:
        name = _tidy("".join(c for index, c in enumerate(name) if index not in set(bad)))
    for length in (len(name), parts, longest, longest // 2):
        try:
            return clean_name(name[:length], longest=longest, parts=parts)
        except CannotName:
            continue
    return instead


def visible_length(name: str) -> int:
    """How many characters people see: marks, joined emoji and flags count once."""
    count, regional, joined = 0, 0, False
    for character in name:
        if character in _JOINERS:
            joined = character == _ZWJ
            continue
        if _belongs_to_the_one_before(character) and count:
            continue
        regional = regional + 1 if "\U0001f1e6" <= character <= "\U0001f1ff" else 0
        if not joined and regional != 2:
            count += 1
        joined, regional = False, regional % 2
    return count


def _tidy(text: str) -> str:
    """Composed, trimmed, and with one ordinary blank wherever there are several or special ones."""
    text = unicodedata.normalize("NFC", text.strip())
    blanks = "".join(" " if unicodedata.category(c) == "Zs" else c for c in text)
    return " ".join(part for part in blanks.split(" ") if part)


def _why_not(name: str, index: int) -> str:
    """Why a character may not stand where it stands; empty if it may."""
    character = name[index]
    category = unicodedata.category(character)
    if character in _SEEN_FORMATS or _is_needed_where_it_stands(name, index):
        reason = ""
    elif character in _DIRECTION:
        reason = _TURNS
    elif character in _INVISIBLE or _is_selector(character):
        reason = _UNSEEN
    elif ord(character) & 0xFFFE == 0xFFFE:
        reason = _MEANINGLESS
    elif category in _MARKS and (index == 0 or name[index - 1] == " "):
        reason = _BARE_MARK
    else:
        reason = _BY_CATEGORY.get(category, "")
    return reason


def _is_needed_where_it_stands(name: str, index: int) -> bool:
    """Whether something invisible makes its neighbours look as they should."""
    if name[index] in _JOINERS:
        return _joins(name, index)
    return _is_selector(name[index]) and _selects(name, index)


def _joins(name: str, index: int) -> bool:
    """Whether a joiner stands between two that it joins: emoji, or letters of scripts that join."""
    before = _base_before(name, index)
    after = name[index + 1 : index + 2]
    if not before or not after:
        return False
    if name[index] == _ZWJ and _is_pictograph(before) and _is_pictograph(after):
        return True
    return _joins_as_letter(before) and _joins_as_letter(after)


def _base_before(name: str, index: int) -> str:
    """The character that a joiner follows, past selectors, skin tones and marks."""
    for position in range(index - 1, -1, -1):
        if not (_belongs_to_the_one_before(name[position])):
            return name[position]
    return ""


def _joins_as_letter(character: str) -> bool:
    is_letter = unicodedata.category(character) == "Lo"
    return is_letter and not unicodedata.name(character, "").startswith(_UNJOINED)


def _is_pictograph(character: str) -> bool:
    return unicodedata.category(character) in {"So", "Cn"} and ord(character) > 0x2000


def _is_selector(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def _selects(name: str, index: int) -> bool:
    """Whether a variation selector follows something of which there are variations."""
    if index == 0:
        return False
    before = name[index - 1]
    if name[index] in "\ufe0e\ufe0f":
        return unicodedata.category(before) in {"So", "Sm", "Po", "Nd", "Cn"}
    return unicodedata.name(before, "").startswith("CJK") or unicodedata.category(before) == "Sm"


def _belongs_to_the_one_before(character: str) -> bool:
    return (
        unicodedata.category(character) in _MARKS
        or _is_selector(character)
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or "\u1160" <= character <= "\u11ff"
    )


def _longest_stack(name: str) -> int:
    longest = current = 0
    for character in name:
        current = current + 1 if unicodedata.category(character) in _MARKS else 0
        longest = max(longest, current)
    return longest
