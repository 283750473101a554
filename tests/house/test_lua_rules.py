"""The Lua of the gate keeps to rules; each rule is shown to say no."""

from pathlib import Path

import pytest
from django.conf import settings

from gate.store import hot_state, layout
from gate.store.connection import sync_client
from lua_rules import check, form
from lua_rules.source import parse

FOLDER = Path(layout.__file__).parent / "lua"
# Of its own, so that what the gate's script is asked may grow.
PUT_KEY = {
    "put_key": layout.Asked(
        files=("put_key",),
        names=("account", "catalogue"),
        args=("digest", "record", "remembered_ms", "pushes", "spending"),
    )
}
GOOD = """\
-- put_key: write a record.

local account, catalogue = NAMES.account, NAMES.catalogue
local function version_of(record)
  local key_version, key_id = MATCH.key(record)
  return tonumber(key_version) + #key_id
end
for i, digest in ipairs({ARGS.digest}) do
  redis.call('HSET', account, 'k:' .. digest, -i, version_of(ARGS.record),
    ARGS.remembered_ms, ARGS.spending)
end
return PUSHED{status = 'stored', pushes = redis.call('HGET', catalogue, ARGS.pushes)}
"""


def findings(folder: Path, lua: str) -> list[str]:
    (folder / "put_key.lua").write_text(lua)
    return [str(finding) for finding in check.check(folder, PUT_KEY)]


def test_the_gates_lua_keeps_to_them() -> None:
    assert check.check(FOLDER, layout.SCRIPTS) == []


def test_a_good_script_is_left_alone(tmp_path: Path) -> None:
    assert findings(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("written", "instead", "finding"),
    [
        ("for i, digest in", "for i, digest of", "put_key.lua:8: no Lua"),
        ("  return tonumber(key_version) + #key_id\nend", "  return 1", "unfinished"),
        ("tonumber(key_version)", "tonumbre(key_version)", "put_key.lua:6: there is no tonumbre"),
        ("  local key_version, key_id", "  key_version, key_id", "assigned and not local"),
        ("local function version_of", "function version_of", "version_of is not local"),
        ("'k:' .. digest, -i", "'k:', -i", "put_key.lua:8: digest is never read"),
        (" + #key_id", "", "put_key.lua:5: key_id is never read"),
        ("version_of(record)", "version_of(record, more)", "put_key.lua:4: more is never read"),
        ("for i, digest", "for i, account", "account hides the one of line 3"),
        ("ARGS.remembered_ms", "1", "put_key is given ARGS.remembered_ms and never uses it"),
        ("NAMES.account, NAMES.catalogue", "NAMES.account, {}", "given NAMES.catalogue and never"),
        ("ARGS.digest", "ARGS.digests", "as put_key: there is no digests"),
        ("ARGS.digest", "ARGV[1]", "put_key.lua:8: ARGV[1]: by its name"),
        ("-- put_key: write", "-- Writes", "begins with '-- put_key:' and what it does"),
        ("'stored'", "'stored" + "d" * 60 + "'", "has 145 characters, 100 are the most"),
    ],
)
def test_each_rule_says_no(tmp_path: Path, written: str, instead: str, finding: str) -> None:
    assert GOOD.count(written) == 1 or written == "ARGS.digest"
    found = findings(tmp_path, GOOD.replace(written, instead))
    assert any(finding in line for line in found), found


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("  local key_version", "    local key_version"),
        ("\n    ARGS.remembered_ms", "\n  ARGS.remembered_ms"),
        ("  return tonumber", "\treturn tonumber"),
        ("'stored', pushes", "'stored' , pushes"),
        ("'k:' .. digest", "'k:'..digest"),
        ("#key_id", "# key_id"),
        ("'stored'", '"stored"'),
        ("version_of(record)", "version_of (record)"),
        ("PUSHED{status", "PUSHED {status"),
        ("{status = ", "{ status="),
        ("record.\n\n", "record.  \n\n\n"),
        ("ARGS.pushes)}\n", "ARGS.pushes)}\n\n"),
    ],
)
def test_what_is_laid_out_otherwise_is_found_and_mended(
    tmp_path: Path, written: str, instead: str
) -> None:
    assert written in GOOD
    found = findings(tmp_path, GOOD.replace(written, instead))
    assert found, "not found"
    assert "lint --fix" in found[0] or "line end" in found[0], found
    check.fix(tmp_path)
    assert form.formatted(parse(GOOD, file="put_key.lua")) == GOOD
    mended = (tmp_path / "put_key.lua").read_text()
    assert mended == GOOD


def test_a_file_that_no_script_has_is_found(tmp_path: Path) -> None:
    (tmp_path / "left_over.lua").write_text("-- left_over: of something that is gone.\n")
    assert findings(tmp_path, GOOD) == ["left_over.lua:1: is part of no script"]


@pytest.mark.parametrize("name", layout.SCRIPTS)
def test_every_script_is_lua_that_valkey_compiles(name: str) -> None:
    script = hot_state.script(name)
    assert sync_client(settings.REDIS_URL).script_load(script.text) == script.sha
