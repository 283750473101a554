"""The data of a release as it was kept, and how it is brought back."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from redis import Redis

from tests.upgrades.story import AccountFacts, Facts, KeyFacts

RELEASES = Path(__file__).parent / "releases"


@dataclass(frozen=True, slots=True)
class Kept:
    """The folder of one release."""

    folder: Path

    @property
    def release(self) -> str:
        """The version, by which the folder is named."""
        return self.folder.name

    @property
    def pepper(self) -> str:
        """What the digests of its keys depend on."""
        return str(self._read("facts.json")["pepper"])

    @property
    def facts(self) -> Facts:
        """What is true of it; facts that later releases added are missing, and have defaults."""
        read = self._read("facts.json")
        del read["pepper"]
        read["keys"] = [KeyFacts(**key) for key in read["keys"]]
        read["accounts"] = [AccountFacts(**account) for account in read["accounts"]]
        return Facts(**read)

    @property
    def made_at(self) -> datetime:
        """When it was kept."""
        return datetime.fromisoformat(self.facts.made_at)

    def bring_back_database(self, url: str) -> None:
        """Fill an empty database."""
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute((self.folder / "database.sql").read_bytes())

    def bring_back_valkey(self, client: Redis) -> None:
        """Fill an empty Valkey; what was to live on for some time lives as long from now on."""
        for record in self._read("valkey.json"):
            _bring_back(client, record["name"], record["kind"], record["value"])
            if record["ttl_ms"] > 0:
                client.pexpire(record["name"], record["ttl_ms"])

    def _read(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))


def _bring_back(client: Redis, name: str, kind: str, value: Any) -> None:
    if kind == "hash":
        client.hset(name, mapping=dict(value))
    elif kind == "zset":
        client.zadd(name, dict(value))
    elif kind == "list":
        client.rpush(name, *value)
    elif kind == "stream":
        # A group makes an empty stream, which stays when the group goes.
        client.xgroup_create(name, "nobody", mkstream=True)
        client.xgroup_destroy(name, "nobody")
        for entry_id, fields in value["entries"]:
            client.xadd(name, dict(fields), id=entry_id)
        client.execute_command("XSETID", name, value["last_id"])  # type: ignore[no-untyped-call]
    else:
        client.set(name, value)


def releases() -> list[Kept]:
    """Every release that was kept."""
    return [Kept(folder) for folder in sorted(RELEASES.iterdir()) if folder.is_dir()]
