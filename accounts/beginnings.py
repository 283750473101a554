"""Finding rows by how a text of theirs begins, whatever its case, by an index.

Indexes of texts know beginnings in the order of bytes only, which databases may or may not sort by.
So both the index and the question name it.
"""

from django.db.models import Index, Q, Value
from django.db.models.functions import Collate, Upper
from django.db.models.lookups import StartsWith


def _folded(field: str) -> Collate:
    return Collate(Upper(field), "C")


def beginnings_index(field: str, *, name: str) -> Index:
    """The index that `begins_with` needs."""
    return Index(_folded(field), name=name)


def begins_with(field: str, words: str) -> Q:
    """A condition on rows: the text in this field begins with these words."""
    return Q(StartsWith(_folded(field), Upper(Value(words))))
