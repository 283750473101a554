"""What is told to people: sentences with gaps, which pages may say in other languages.

The gate itself says them in English.
"""


def gettext_noop(text: str) -> str:
    """The text as it is; whoever gathers what there is to translate knows it by this name."""
    return text


class Told(Exception):
    """An error that a person reads: a sentence, and what is put into its gaps."""

    def __init__(self, sentence: str, **gaps: object) -> None:
        super().__init__(sentence % gaps)
        self.sentence = sentence
        self.gaps = gaps
