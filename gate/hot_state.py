"""Where the migrations of release 0.1.0, which never change, look for `PARTITIONS`."""

from gate.store.hot_state import PARTITIONS

__all__ = ["PARTITIONS"]
