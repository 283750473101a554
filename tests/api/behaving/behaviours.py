"""How real model servers behave in a chat, byte for byte, and what each must lead to.

Where a behaviour was reported stands behind it: owner/repository#number of a public tracker.
"""

from tests.api.behaving.behaviour import Behaviour
from tests.api.behaving.broken import BROKEN
from tests.api.behaving.counted import COUNTED
from tests.api.behaving.decorated import DECORATED
from tests.api.behaving.ended import ENDED
from tests.api.behaving.refused import REFUSED
from tests.api.behaving.tool_calls import TOOL_CALLS

BEHAVIOURS: dict[str, Behaviour] = {
    **DECORATED,
    **TOOL_CALLS,
    **COUNTED,
    **ENDED,
    **REFUSED,
    **BROKEN,
}
