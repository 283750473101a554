"""Where the migrations of release 0.1.0, which never change, look for `new_handle`."""

from gate.terms.key_text import new_handle

__all__ = ["new_handle"]
