"""Whom the subjects ask, and the script call that all of them end in."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from gate.store import charges, connection, snapshots
from gate.store.hot_state import Call
from gate.terms import key_text

GATE = "config.gate_server"


@dataclass(frozen=True, slots=True)
class Target:
    """Where the subjects are, and whose keys to use."""

    ports: dict[str, int]  # by ASGI application
    redis_url: str
    keys: tuple[str, ...]
    service_token: str
    peppers: tuple[key_text.Pepper, ...]
    session: str = ""  # the cookie of somebody who is signed in
    exporting: str = ""  # the same of somebody who used much
    usual_keys: tuple[str, ...] = ()  # of the stack that we are compared with

    @property
    def redis_socket(self) -> str:
        """The path of Valkey's socket."""
        return unquote(urlsplit(self.redis_url).path)


def check_script(target: Target, key: str) -> Call:
    """The script call that a check of this key makes."""
    return charges.check_call(
        handle=key_text.handle_of(key),
        digests=snapshots.hot_digests(key_text.digests(key, target.peppers)),
        meter="chat",
        units=1,
        request_id=None,
    )


def load_scripts(redis_url: str) -> None:
    """Make a Valkey know the check, so that the first subject need not send its text."""
    example = charges.check_call(handle="", digests=[], meter="", units=0, request_id=None)
    connection.sync_client(redis_url).script_load(example.script.text)
