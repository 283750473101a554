"""Sentences that are written down in English, and read in any language.

Nobody reads along where they are made: in a worker, in a library of ours without translations. So
each is declared as it is written, marked for translation, with names for what is put into it; and
whoever reads one later gets it in their language.
"""

import re
from collections.abc import Callable, Iterable

from django.utils.translation import gettext


def reader_of(sentences: Iterable[str]) -> Callable[[str], str]:
    """What puts a text into the reader's language, if it is one of these; any other stays.

    Of two that one text could be, the narrower stands first.
    """
    patterns = [(str(sentence), _pattern(str(sentence))) for sentence in sentences]

    def in_words(text: str) -> str:
        for sentence, pattern in patterns:
            if found := pattern.fullmatch(text):
                return gettext(sentence) % found.groupdict()
        return text

    return in_words


def _pattern(sentence: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.+)", re.escape(sentence)))
