"""Check the Lua of a folder, by default the gate's; `--fix` formats it first.

python -m lua_rules [--fix]
"""

import sys
from pathlib import Path

from gate.store import layout
from lua_rules import check

FOLDER = Path(layout.__file__).parent / "lua"

if "--fix" in sys.argv[1:]:
    check.fix(FOLDER)
found = check.check(FOLDER, layout.SCRIPTS)
for finding in found:
    print(FOLDER.relative_to(Path.cwd()) / str(finding))
sys.exit(bool(found))
