"""Tags: for whom a caller asks, in one short text of its own, such as the id of an end user.

A tag stands in records and on pages, so it holds no control character, none of the records'
separators and no secret.
"""

import re

from gate.terms.redaction import holds_secret

AT_MOST = 64
# Also as a JSON schema, where $ may stand before a last line feed to Python alone.
PATTERN = r"^[^\x00-\x1f\x7f-\x9f|]+(?!\n)$"
MUST_BE = f"1 to {AT_MOST} characters without control characters and without “|”"
_FIT = re.compile(PATTERN)


def usable(text: object) -> str:
    """The tag that something is, or "" where it cannot be one."""
    if not isinstance(text, str) or not 1 <= len(text) <= AT_MOST or not _FIT.match(text):
        return ""
    return "" if holds_secret(text) else text
