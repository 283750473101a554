"""Accounts, keys and entries put straight into a Valkey, as the product would, but in thousands."""

import time
from collections.abc import Iterable
from itertools import islice
from random import Random

from redis import Redis

from benchmark.backlog import used_memory
from benchmark.target import GATE, Target, load_scripts
from gate.store import connection, hot_state, snapshots
from gate.store.hot_state import PARTITIONS, Call
from gate.store.snapshots import AccountSnapshot, CatalogueSnapshot, KeyState, PartitionState
from gate.terms import key_text, week

# Nobody else knows these accounts, so it need not be secret.
PEPPER = key_text.Pepper(pepper_id="1", secret=b"benchmark" * 4)
_PLAN = "unlimited"
_AT_ONCE = 1_000
# Accounts that are asked about, spread over all; the others have keys that nobody knows.
_CALLING = 5_000
# Entries as check writes them, without the decision: ten million of those would take minutes.
_ADD_ENTRIES = """
for _ = 1, tonumber(ARGV[2]) do redis.call('XADD', KEYS[1], '*', 'e', ARGV[1]) end
return redis.call('XLEN', KEYS[1])
"""


class HotAccounts:
    """What is in one Valkey, and whom to ask there."""

    def __init__(self, url: str) -> None:
        client = connection.sync_client(url)
        assert isinstance(client, Redis)
        self._client = client
        # A connection stays open while we look, and so does what it takes.
        client.connection_pool.connection_kwargs["socket_timeout"] = 60.0
        self.url = url
        self.service_token = key_text.new_service_token()
        # Of the server that asks this Valkey (`gate_alone`).
        self.port = 0
        # Not for secrets: the same accounts in every run.
        self._random = Random(1)
        self.accounts = 0
        self.entries = 0
        self.keys: list[str] = []
        self._start()

    @property
    def target(self) -> Target:
        """For subjects that need no more than the gate."""
        return Target(
            ports={GATE: self.port},
            redis_url=self.url,
            keys=tuple(self.keys[-_CALLING:]),
            service_token=self.service_token,
            peppers=(PEPPER,),
        )

    def memory(self) -> int:
        """Bytes that Valkey has allocated."""
        return used_memory(self.url)

    def add_accounts(self, count: int) -> None:
        """More idle accounts with a key each."""
        every = max(1, count // _CALLING)
        self._run(self._put(self._text(8), is_asked=at % every == 0) for at in range(count))
        self.accounts += count

    def add_entries(self, count: int) -> None:
        """More entries that nobody drains, spread over the partitions."""
        script = self._client.register_script(_ADD_ENTRIES)
        record = "|".join(
            (self._text(8), "12345", "chat", str(_this_week()), "1", "", "0", "0", str(_now_ms()))
        )
        for at, left in enumerate(range(count, 0, -_AT_ONCE)):
            stream = hot_state.stream_name(at % PARTITIONS)
            script(keys=[stream], args=[record, min(left, _AT_ONCE)])
        self.entries += count

    def add_keys(self, count: int) -> None:
        """More keys of one account, which all are asked about."""
        handle = key_text.handle_of(self.keys[0]) if self.keys else self._text(8)
        made = [key_text.new_api_key(handle) for _ in range(count)]
        self.keys += made
        if self.accounts == 0:
            self._run([_account(handle, [_key(text) for text in made])])
            self.accounts = 1
        else:
            self._run(snapshots.put_key_call(handle, _key(text)) for text in made)

    def waiting_entries(self) -> int:
        """How many charges wait in the streams."""
        return sum(
            int(self._client.xlen(hot_state.stream_name(partition)))
            for partition in range(PARTITIONS)
        )

    def forget_entries(self) -> None:
        """What callers have added between two measurements."""
        if self.entries == 0:
            for partition in range(PARTITIONS):
                self._client.xtrim(hot_state.stream_name(partition), maxlen=0, approximate=False)

    def forget_everything(self) -> None:
        """Begin anew."""
        # Not in the background: what is still being freed would count as used.
        self._client.execute_command("FLUSHALL", "SYNC")  # type: ignore[no-untyped-call]
        self.accounts = self.entries = 0
        self.keys = []
        self._start()

    def is_busy(self) -> bool:
        """Whether Valkey rewrites its file, which is not what we measure."""
        persistence = self._client.info("persistence")
        return bool(persistence["aof_rewrite_in_progress"] or persistence["aof_rewrite_scheduled"])

    def _start(self) -> None:
        load_scripts(self.url)
        catalogue = CatalogueSnapshot(
            version=1, credits_per_chat=1, meters={"chat": 1}, caps={_PLAN: None}
        )
        self._run(
            snapshots.put_catalogue_call(PartitionState(index=index, epoch=1, pushes=0), catalogue)
            for index in range(PARTITIONS)
        )

    def _put(self, handle: str, *, is_asked: bool) -> Call:
        if not is_asked:
            return _account(handle, [_state(self._text(22), self._random.randrange(10**6))])
        text = key_text.new_api_key(handle)
        self.keys.append(text)
        return _account(handle, [_key(text)])

    def _text(self, length: int) -> str:
        return "".join(self._random.choices(key_text.BASE62, k=length))

    def _run(self, calls: Iterable[Call]) -> None:
        waiting = iter(calls)
        while chunk := list(islice(waiting, _AT_ONCE)):
            # Makes the script known, where it is not.
            hot_state.run(self._client, chunk[0])
            pipeline = self._client.pipeline(transaction=False)
            for call in chunk[1:]:
                pipeline.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
            for status, _ in pipeline.execute():
                if status != b"stored":
                    raise RuntimeError(f"the gate did not take it: {status!r}")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _this_week() -> int:
    return week.week_of(_now_ms())


def _key(text: str) -> KeyState:
    return _state(snapshots.hot_digests([key_text.digest(text, PEPPER)])[0], 12345)


def _state(key_digest: str, key_id: int) -> KeyState:
    return KeyState(digest=key_digest, version=1, key_id=key_id, is_active=True)


def _account(handle: str, keys: list[KeyState]) -> Call:
    return snapshots.put_account_call(
        AccountSnapshot(
            handle=handle,
            epoch=1,
            version=1,
            plan=_PLAN,
            packs=(),
            suspended=False,
            credits=0,
            boosts=(),
            week=_this_week(),
            used=0,
            credits_spent=0,
            keys=tuple(keys),
        )
    )
