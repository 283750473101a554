"""Commands as they go to Valkey: words in its protocol (RESP), after a line that counts them.

Most calls of an account begin alike, and their arguments too: the digest of the script, the names
of the account, whose it is. That is packed once (`Known`), and only what differs for each call.
"""

from dataclasses import dataclass
from functools import cache
from typing import Self

import hiredis

Word = str | int | bytes


def pack(*command: Word) -> bytes:
    """A whole command."""
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]
    return packed


@dataclass(frozen=True, slots=True)
class Known:
    """The first names and the first arguments of many script calls, and how they read packed."""

    names: tuple[str, ...]
    args: tuple[str | int, ...]
    packed_names: bytes
    packed_args: bytes

    @classmethod
    def of(cls, names: tuple[str, ...], args: tuple[str | int, ...]) -> Self:
        """These, packed."""
        return cls(names, args, _words(names), _words(args))

    def pack(self, sha: str, names: tuple[str, ...], args: tuple[str | int, ...]) -> bytes:
        """The call of a script with all these names and arguments, of which we know the first."""
        beginning = _beginning(sha, len(names), len(args))
        rest = _words(args[len(self.args) :])
        if names is self.names:
            return b"".join((beginning, self.packed_names, self.packed_args, rest))
        later = _words(names[len(self.names) :])
        return b"".join((beginning, self.packed_names, later, self.packed_args, rest))


@cache
def _beginning(sha: str, names: int, args: int) -> bytes:
    """What stands before the names: a handful, because most lists are short and alike."""
    command = ("EVALSHA", sha, names)
    return b"*%d\r\n%b" % (len(command) + names + args, _words(command))


def _words(words: tuple[Word, ...]) -> bytes:
    """Words, without the line that counts them."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]
    return packed[packed.index(b"\n") + 1 :]
