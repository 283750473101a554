"""Characters that come in two halves: JSON may escape one as a surrogate pair, and cut it."""

from collections.abc import Hashable

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def whole(text: str) -> str:
    """The text with pairs joined, and U+FFFD for every half that is alone."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class Halves:
    """Holds the first half of a character back until the second has come."""

    def __init__(self) -> None:
        self._held: dict[Hashable, str] = {}

    def join(self, of: Hashable, text: str) -> str:
        """What can be shown of `text`, the next part of whatever `of` names."""
        text = self._held.pop(of, "") + text
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._held[of] = text[-1]
            text = text[:-1]
        return whole(text)

    def rest(self, of: Hashable) -> str:
        """What is left at the end: nothing, or U+FFFD for a half that stayed alone."""
        return REPLACEMENT if self._held.pop(of, "") else ""
