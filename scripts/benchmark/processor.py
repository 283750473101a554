"""Processor time of processes, which says more than a rate where others share the machine."""

import os
from collections import defaultdict
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def processor_seconds(leader: int) -> float:
    """What a process and all that it started have used so far; 0 where there is no /proc."""
    used: dict[int, int] = {}
    children: dict[int, list[int]] = defaultdict(list)
    for folder in _PROC.glob("[0-9]*"):
        try:
            # The name stands in parentheses and may contain anything, so count from its end.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(folder.name)
        used[pid] = int(fields[11]) + int(fields[12])
        children[int(fields[1])].append(pid)
    ticks, family = 0, [leader]
    while family:
        pid = family.pop()
        ticks += used.get(pid, 0)
        family += children[pid]
    return ticks / _TICKS
