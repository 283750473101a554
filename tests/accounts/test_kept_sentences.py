"""What was written down in English finds its translation when it is read."""

import pytest
from django.utils.translation import gettext_noop

from accounts.kept_sentences import reader_of
from billing import problems

in_words = reader_of((gettext_noop("%(n)s of %(all)s are here"), gettext_noop("%(n)s are here")))


@pytest.fixture
def shouted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A language in which everything is said aloud, but for what is put into it."""
    monkeypatch.setattr(
        "accounts.kept_sentences.gettext",
        lambda sentence: sentence.replace("are here", "ARE HERE").replace("instead", "INSTEAD"),
    )


@pytest.mark.parametrize(
    ("kept", "read"),
    [
        ("two are here", "two ARE HERE"),
        ("1 of 3 are here", "1 of 3 ARE HERE"),
        ("nobody knows this", "nobody knows this"),
        ("", ""),
    ],
)
def test_a_sentence_is_read_in_the_language_of_the_reader(
    shouted: None, kept: str, read: str
) -> None:
    assert in_words(kept) == read


def test_each_problem_of_a_purchase_is_read_by_itself(shouted: None) -> None:
    kept = "paid 500 cents instead of 50000; paid in usd instead of eur; something new"
    assert problems.in_words(kept) == (
        "paid 500 cents INSTEAD of 50000; paid in usd INSTEAD of eur; something new"
    )
