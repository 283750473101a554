"""PostgreSQL and Valkey for the tests, started before Django reads its settings.

With DATABASE_URL and REDIS_URL set, those are used: the database user must be allowed to create a
test database, and the Valkey is emptied again and again.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from config.embedded import EmbeddedPostgres, EmbeddedValkey

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 * 1024**3


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
    # A place of our own for tmp_path: in the shared one, another run that begins takes away the
    # right to pass that a PostgreSQL below it needs.
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(DATA_DIR)
    if "DATABASE_URL" not in os.environ:
        # Nobody cuts the power of a test; kill -9 is survived without fsync too.
        postgres = EmbeddedPostgres(DATA_DIR, durable=False)
        postgres.start()
        atexit.register(postgres.stop)
        os.environ["DATABASE_URL"] = postgres.url
    if "REDIS_URL" not in os.environ:
        valkey = EmbeddedValkey(DATA_DIR)
        valkey.start()
        atexit.register(valkey.stop)
        os.environ["REDIS_URL"] = valkey.url


_start()
