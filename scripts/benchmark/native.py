"""The check script under Valkey's own load generator, where that is installed.

It cannot alternate keys, so it stays with one account; our own callers are what it is held against.
"""

import csv
import io
import shutil
import subprocess

from benchmark.target import Target, check_script

_PROGRAMS = ("valkey-benchmark", "redis-benchmark")


def native_program() -> str | None:
    """The load generator that comes with Valkey or Redis, if it is in PATH."""
    return next(filter(None, map(shutil.which, _PROGRAMS)), None)


def native_rate(program: str, target: Target, *, connections: int, calls: int) -> float:
    """Calls a second of the check script with one account; 0 when the program gave none."""
    call = check_script(target, target.keys[0])
    ran = subprocess.run(
        [
            *(program, "-s", target.redis_socket, "--csv"),
            *("-c", str(connections), "-n", str(max(calls, connections))),
            *("EVALSHA", call.script.sha, str(len(call.keys)), *call.keys, *map(str, call.args)),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    for row in csv.DictReader(io.StringIO(ran.stdout)):
        return float(row["rps"])
    return 0.0
