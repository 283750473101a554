"""What Django's test client answers with: a response that knows its request."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # The stubs give it no public name.
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer
else:
    Answer = Any

__all__ = ["Answer"]
