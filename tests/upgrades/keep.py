"""Keep the data of this release, so that every later one can be tried on it.

    python -m tests.upgrades.keep [FOLDER]      as scripts/keep-release does

In servers of its own, in an empty installation, it lives through `tests.upgrades.story` and writes
into the folder: what PostgreSQL holds (database.sql), what Valkey holds (valkey.json), what is true
of both (facts.json), and the digests of the migrations (migrations.sha256).
"""

# ruff: noqa: E402, I001 - the servers come before Django reads its settings
import hashlib
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# Stands in for the secret that every digest in the kept data depends on.
PEPPER = "pepper-of-the-kept-releases-which-opens-nothing"
os.environ["KEY_PEPPERS"] = f"1:{PEPPER}"

import tests.servers

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings
from django.core.management import call_command

from config import __version__, release
from dev.embedded import EmbeddedPostgres
from gate.store.connection import sync_client
from tests.upgrades import story
from tests.upgrades.kept import RELEASES

REPOSITORY = Path(__file__).resolve().parents[2]


def keep(folder: Path) -> None:
    """Write everything into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    call_command("migrate", interactive=False, verbosity=0)
    release.record()
    facts = story.live(datetime.now(UTC))
    # Answers of every form: what they are is asked below.
    valkey: Any = sync_client(settings.REDIS_URL)
    _write(folder / "facts.json", {**facts.as_json(), "pepper": PEPPER})
    _write(folder / "valkey.json", [_record(valkey, name) for name in sorted(valkey.keys())])
    (folder / "database.sql").write_text(_dump(), encoding="utf-8")
    digests = [f"{digest_of(path)}  {path.relative_to(REPOSITORY)}\n" for path in migrations()]
    (folder / "migrations.sha256").write_text("".join(digests), encoding="utf-8")


def migrations() -> list[Path]:
    """The migrations of our own apps."""
    return sorted(
        path for path in REPOSITORY.glob("*/migrations/*.py") if path.name != "__init__.py"
    )


def digest_of(path: Path) -> str:
    """What a released migration is recognised by."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _dump() -> str:
    programs = EmbeddedPostgres(tests.servers.DATA_DIR).programs
    dumped = subprocess.run(
        [
            str(programs / "pg_dump"),
            *("--no-owner", "--no-privileges", "--inserts", "--rows-per-insert", "100"),
            *("--dbname", os.environ["DATABASE_URL"]),
        ],
        capture_output=True,
        check=True,
    ).stdout.decode()
    # Commands of psql: what is left is SQL alone.
    lines = [line for line in dumped.splitlines() if not line.startswith("\\")]
    return "\n".join(lines) + "\n"


def _record(valkey: Any, name: bytes) -> dict[str, Any]:
    """One key of Valkey, readable, with how long it still had to live."""
    kind = valkey.type(name).decode()
    value: Any
    if kind == "hash":
        value = sorted([_text(part) for part in pair] for pair in valkey.hgetall(name).items())
    elif kind == "zset":
        value = [
            [_text(member), score] for member, score in valkey.zrange(name, 0, -1, withscores=True)
        ]
    elif kind == "list":
        value = [_text(member) for member in valkey.lrange(name, 0, -1)]
    elif kind == "stream":
        entries = [
            [_text(entry_id), [[_text(part) for part in pair] for pair in fields.items()]]
            for entry_id, fields in valkey.xrange(name)
        ]
        value = {
            "last_id": _text(valkey.xinfo_stream(name)["last-generated-id"]),
            "entries": entries,
        }
    else:
        assert kind == "string", (name, kind)
        value = _text(valkey.get(name))
    return {"name": _text(name), "kind": kind, "ttl_ms": valkey.pttl(name), "value": value}


def _text(value: Any) -> str:
    """Bytes as text; what is no UTF-8 is refused: nothing of ours is."""
    return value.decode() if isinstance(value, bytes) else str(value)


def _write(path: Path, content: Any) -> None:
    text = json.dumps(content, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if sys.argv[1:] else RELEASES / __version__
    if folder.exists():
        sys.exit(f"{folder} is there already: what was kept of a release stays as it is.")
    if not re.fullmatch(r"\d+(\.\d+)*", __version__) and not sys.argv[1:]:
        sys.exit(f"{__version__} is no release: set the version in config/__init__.py first.")
    keep(folder)
    sys.stdout.write(f"Kept {__version__} in {folder}.\n")
