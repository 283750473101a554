"""Keep how records are made today, for every later release: python -m tests.gate.layouts.keep 0.2.0

Run it when a record in `gate/store/layout.py` gets a field. The fields of a released version are
never changed again.
"""

import json
import sys
from pathlib import Path

from gate.store import layout

FOLDER = Path(__file__).parent


def declared() -> dict[str, list[str]]:
    """The fields of every record and script, in their order."""
    fields = {
        record.name: [field.name for field in record.fields] for record in layout.RECORDS.values()
    }
    for name, kept in layout.HASHES.items():
        fields[name] = [field.name for field in kept.fields]
        fields[f"{name} begins"] = list(kept.begins.values())
    for name, asked in layout.SCRIPTS.items():
        fields[f"{name} names"] = list(asked.names)
        fields[f"{name} args"] = list(asked.args)
    return fields


def main() -> None:
    kept = FOLDER / f"{sys.argv[1]}.fields.json"
    kept.write_text(json.dumps(declared(), indent=1) + "\n")


if __name__ == "__main__":
    main()
