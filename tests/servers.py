"""PostgreSQL and Valkey for the tests, started before Django reads its settings.

With DATABASE_URL and REDIS_URL set, those are used: the database user must be allowed to create a
test database, and the Valkey is emptied again and again.

Of several processes of one run (pytest -n) each has servers to itself, because a test may empty
Valkey or search all files of PostgreSQL.
"""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

from dev.embedded import EmbeddedPostgres, EmbeddedValkey

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 * 1024**3
# The addresses that are not from outside.
_OURS = "ADDRESSES_OF_TEST_SERVERS"


def _place() -> str | None:
    """A folder in memory where there is one with room: tests do not wait for a busy disk."""
    if not os.access(_MEMORY, os.W_OK) or shutil.disk_usage(_MEMORY).free < _ROOM_BYTES:
        return None
    return str(_MEMORY)


DATA_DIR = Path(tempfile.mkdtemp(prefix="sansxel-test-", dir=_place()))


def _start() -> None:
    atexit.register(shutil.rmtree, DATA_DIR, ignore_errors=True)
    os.environ["ENVIRONMENT"] = "development"
    os.environ["DATA_DIR"] = str(DATA_DIR)
    # Made once for all sites that tests start: it takes seconds.
    os.environ.setdefault("FACES_DIR", str(Path(sys.prefix) / "faces"))
    os.environ.setdefault("WORDS_DIR", str(Path(sys.prefix) / "words"))
    # What Django's test client asks by.
    os.environ["SITE_URL"] = "http://testserver"
    # A place of our own for tmp_path: in the shared one, another run that begins takes away the
    # right to pass that a PostgreSQL below it needs.
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(DATA_DIR)
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Inherited from the process that hands out the tests: its own servers.
        for name in os.environ.pop(_OURS, "").split():
            del os.environ[name]
        if "REDIS_URL" in os.environ:
            sys.exit("Tests empty the Valkey of REDIS_URL, so only one process may run them.")
    ours = {"DATABASE_URL", "REDIS_URL"} - os.environ.keys()
    os.environ[_OURS] = " ".join(ours)
    if "DATABASE_URL" in ours:
        # Nobody cuts the power of a test; kill -9 is survived without fsync too.
        postgres = EmbeddedPostgres(DATA_DIR, durable=False)
        postgres.start()
        atexit.register(postgres.stop)
        os.environ["DATABASE_URL"] = postgres.url
    if "REDIS_URL" in ours:
        valkey = EmbeddedValkey(DATA_DIR)
        valkey.start()
        atexit.register(valkey.stop)
        os.environ["REDIS_URL"] = valkey.url


_start()
