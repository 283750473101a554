"""Which machine figures are of, and how much of it others used meanwhile.

Ratios differ from machine to machine, so no figure says anything without this.
"""

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from benchmark.processor import processor_seconds
from gate.store import connection

_TICKS = os.sysconf("SC_CLK_TCK")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_SETTINGS = ("appendonly", "appendfsync", "io-threads", "maxmemory-policy", "save")


@dataclass(frozen=True, slots=True)
class Machine:
    """What the figures of a run depend on besides our code; "" is what cannot be known here."""

    processor: str
    cores: int
    is_virtual: bool
    governor: str
    kernel: str
    python: str
    valkey: str
    valkey_settings: dict[str, str]

    @classmethod
    def here(cls, redis_url: str) -> Self:
        """This machine, and the Valkey that is measured on it."""
        said = _of_first_processor()
        valkey = connection.sync_client(redis_url)
        server = valkey.info("server")
        found: dict[str, Any] = valkey.config_get(*_SETTINGS)  # type: ignore[assignment]
        return cls(
            processor=said.get("model name") or platform.processor() or platform.machine(),
            cores=os.cpu_count() or 1,
            is_virtual="hypervisor" in said.get("flags", "").split(),
            governor=_GOVERNOR.read_text().strip() if _GOVERNOR.is_file() else "",
            kernel=f"{platform.system()} {platform.release()}",
            python=f"{platform.python_implementation()} {platform.python_version()}",
            valkey=str(server.get("valkey_version") or server["redis_version"]),
            valkey_settings={name: str(value) for name, value in sorted(found.items())},
        )

    def __str__(self) -> str:
        settings = ", ".join(
            f"{name} {value or '-'}" for name, value in self.valkey_settings.items()
        )
        return (
            f"{self.processor}, {self.cores} cores{' of a virtual machine' * self.is_virtual}, "
            f"governor {self.governor or 'unknown'}; {self.kernel}; {self.python}; "
            f"Valkey {self.valkey} ({settings})"
        )

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Noise:
    """What the machine did that was not ours, as parts of all its processors' time."""

    others: float  # other processes, and those of ours that have ended since
    stolen: float  # by other virtual machines

    def __str__(self) -> str:
        return (
            f"Others used {self.others:.0%} of the processors meanwhile, "
            f"and {self.stolen:.0%} was not given to this machine."
        )

    def as_json(self) -> dict[str, float]:
        """For a file."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


class Listening:
    """Notices, from when it is made, what others do; `leader` began everything that is ours."""

    def __init__(self, leader: int) -> None:
        self._leader = leader
        self._before = self._now()

    def noise(self) -> Noise | None:
        """What was noticed so far; None where there is no /proc."""
        total, busy, stolen, ours = (
            now - before for now, before in zip(self._now(), self._before, strict=True)
        )
        if not total:
            return None
        return Noise(others=max(0.0, busy - ours) / total, stolen=stolen / total)

    def _now(self) -> tuple[float, float, float, float]:
        """Seconds of all processors: all, busy, stolen, and busy for us."""
        try:
            line = Path("/proc/stat").read_text().partition("\n")[0]
        except OSError:
            return 0.0, 0.0, 0.0, 0.0
        user, nice, system, idle, wait, hard, soft, stolen = (
            int(word) / _TICKS for word in line.split()[1:9]
        )
        busy = user + nice + system + hard + soft
        total = busy + idle + wait + stolen
        return total, busy, stolen, processor_seconds(self._leader)


def _of_first_processor() -> dict[str, str]:
    try:
        text = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
