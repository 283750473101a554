"""Two more to be compared with, where Node is: a plain counter, and our own script, behind fastify.

Their packages are pinned by node/package-lock.json and kept in a cache outside of this tree.
"""

import json
import os
import re
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmark.cache import CannotCompare, kept
from benchmark.ports import free_port
from benchmark.stage import Site
from benchmark.target import Target
from gate.store import charges, hot_state, layout, snapshots
from gate.terms.key_text import Pepper

COUNTER = "fastify"
SCRIPT = "fastify-script"
PEERS = (COUNTER, SCRIPT)

_SERVER = Path(__file__).parent / "node" / "server.js"
# Node's own CRC-32 came with it.
_OLDEST = (20, 15)
_INSTALLED_WITHIN_SECONDS = 300
# Not what handles and digests are made of, so that they are found again.
_HANDLE, _DIGEST = "<handle>", "<digest>"
# Another one than the site's accounts and the cache of `usual` are in.
_COUNTERS_DB = 2


def install() -> Path:
    """The folder that Node finds the packages in; CannotCompare where there is no Node."""
    wanted = _SERVER.with_name("package-lock.json").read_text() + _version_of_node()
    return kept("node", wanted, make=_install_into) / "node_modules"


@contextmanager
def serving(peer: str, site: Site, target: Target, *, modules: Path) -> Iterator[int]:
    """The port of one of them, beside a site; asks the same Valkey."""
    port = free_port()
    call = site.data_dir / f"{peer}.json"
    _write_call(call, target.peppers)
    told = {
        "NODE_PATH": str(modules),
        "NODE_ENV": "production",
        "PEER": "counter" if peer == COUNTER else "script",
        "PORT": str(port),
        "VALKEY_SOCKET": target.redis_socket,
        "VALKEY_DB": str(_COUNTERS_DB if peer == COUNTER else 0),
        "CALL": str(call),
    }
    with site.running(peer, ["node", str(_SERVER)], port, dict(os.environ) | told):
        yield port


def _write_call(path: Path, peppers: Sequence[Pepper]) -> None:
    """Say how our script is called, with blanks for the handle and the digest of the key."""
    call = charges.check_call(
        handle=_HANDLE, digests=[_DIGEST], meter="chat", units=1, request_id=None
    )
    prefix = hot_state.keys_of(_HANDLE).prefix
    says = {
        "sha": call.script.sha,
        "prefixes": [
            hot_state.stream_name(partition).removesuffix("s")
            for partition in range(hot_state.PARTITIONS)
        ],
        "names": [name.replace(prefix, "<prefix>") for name in call.keys],
        "args": [str(word) for word in call.args],
        "pepper": b64encode(peppers[0].secret).decode(),
        "digestLength": len(snapshots.hot_digests(["." * 43])[0]),
        **{name: layout.ANSWER.at(name) for name in ("status", "cap", "used")},
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(says))


def _version_of_node() -> str:
    if not (shutil.which("node") and shutil.which("npm")):
        raise CannotCompare("node and npm are not in PATH")
    version = subprocess.run(
        ["node", "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    found = re.match(r"v(\d+)\.(\d+)", version)
    if found is None or (int(found[1]), int(found[2])) < _OLDEST:
        raise CannotCompare(f"Node {version} is older than {'.'.join(map(str, _OLDEST))}")
    return version


def _install_into(folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_SERVER.with_name(name), folder)
    try:
        subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=_INSTALLED_WITHIN_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        raise CannotCompare((error.stderr.strip().splitlines() or ["npm ended"])[-1]) from None
    except subprocess.TimeoutExpired:
        raise CannotCompare("its packages did not arrive in time") from None
