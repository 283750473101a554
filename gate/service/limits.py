"""How much a client may send, and how long it may take: the one place for every way in.

`guarded` enforces these for whatever comes in over HTTP: pages, API, quota, sandbox. What one
address allows less than this (a check 16 KiB, the webhook 1 MiB) stands with that address.
"""

import resource

# --- the head of a request: its first line and its headers ------------------------------------

HEAD_BYTES = 32 * 1024
HEAD_LINES = 100

# --- its body ---------------------------------------------------------------------------------

BODY_BYTES = 2_621_440  # 2.5 MiB
# What comes in pieces of a few bytes costs more work than it brings.
BODY_CHUNKS = 16_384
# All bodies that are under way, together, in one process.
BODIES_BYTES = 256 * 1024 * 1024

# --- waiting for a client ---------------------------------------------------------------------

# Without a request: before the first, and between two.
IDLE_SECONDS = 15.0
# From the first byte of a head to its last.
HEAD_SECONDS = 15.0
# A body may pause so long, and must be as fast as this in the mean from then on.
BODY_STALL_SECONDS = 15.0
BODY_BYTES_PER_SECOND = 500
# With a full send buffer of which the client takes nothing.
UNREAD_SECONDS = 60.0
# After the last answer: so long, and so much, what a client still sends is thrown away, so that
# it gets to read the answer before the connection is cut.
LINGER_SECONDS = 2.0
LINGER_BYTES = 1024 * 1024

# --- connections ------------------------------------------------------------------------------

# Of one process, or fewer where it may open fewer files.
CONNECTIONS = 16_384
# Files for everything that is no connection of a client: PostgreSQL, Valkey, logs, other servers.
FILES_KEPT = 256
# So many connections more are taken just to hear whether they are probes.
ROOM_FOR_PROBES = 64
PROBES = frozenset({"/healthz", "/readyz"})
# When there are too many, this part of them is asked to go at once: whoever waits longest.
GIVE_WAY_PART = 0.05
# Whoever was heard so lately is in the middle of something.
GIVE_WAY_AFTER_SECONDS = 0.2


def connections_at_most() -> int:
    """How many connections this process may have, by its limit of open files."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return CONNECTIONS
    return max(1, min(CONNECTIONS, files - FILES_KEPT - ROOM_FOR_PROBES))
