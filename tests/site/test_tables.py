"""SQL that is written by hand names only tables of its own app and of apps below it.

Imports say which models a module knows; a table's name in a text says it past all imports. Every
text of the code is looked at, whatever is done with it: what `execute`, `RunSQL` or `raw` are given
may come from a constant, a condition or another module. No grammar is needed for that, and none
would read the bodies of functions and triggers.
"""

import ast
import re
import tomllib
from pathlib import Path

import pytest
from django.apps import apps

from dev.conditions import REPOSITORY

IDENTIFIER = re.compile(r"[^\W\d]\w*")
# What import-linter is told; the layers, the highest first.
TOLD = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
    "importlinter"
]
LAYERS: list[set[str]] = next(
    [set(layer.split(" | ")) for layer in contract["layers"]]
    for contract in TOLD["contracts"]
    if contract["name"] == "Imports run one way"
)
PACKAGES: list[str] = TOLD["root_packages"]
# By table: the package whose model it is, for our own.
OWNERS = {
    model._meta.db_table: model.__module__.partition(".")[0]
    for model in apps.get_models(include_auto_created=True)
    if model.__module__.partition(".")[0] in PACKAGES
}


def tables_named(source: str) -> set[str]:
    """Tables of ours that texts in a piece of Python name."""
    texts = {
        str(node.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    words = {word.casefold() for text in texts for word in IDENTIFIER.findall(text)}
    return words & OWNERS.keys()


def may_name(package: str) -> set[str]:
    """Itself and what lies below it; below what stands alone there is nothing."""
    below: list[set[str]] = []
    for layer in reversed(LAYERS):
        if package in layer:
            return {package}.union(*below)
        below.append(layer)
    return {package}


def wrongly_named(source: str, *, package: str) -> set[str]:
    """Tables that code of a package names and may not."""
    allowed = may_name(package)
    return {table for table in tables_named(source) if OWNERS[table] not in allowed}


def sources(package: str) -> list[Path]:
    """The code of a package, its migrations with it."""
    return sorted((REPOSITORY / package).rglob("*.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_text_names_a_table_of_an_app_above(package: str) -> None:
    found = {
        f"{path.relative_to(REPOSITORY)}: {table}"
        for path in sources(package)
        for table in wrongly_named(path.read_text(encoding="utf-8"), package=package)
    }
    assert found == set()


def test_what_the_drain_writes_to_is_found() -> None:
    """Were nothing found anywhere, the test above would say nothing."""
    found = {
        table
        for module in ("drain", "rollups")
        for table in tables_named(
            (REPOSITORY / f"quotas/usage/{module}.py").read_text(encoding="utf-8")
        )
    }
    assert found == {
        "accounts_partition",
        "keys_apikey",
        "quotas_boost",
        "quotas_tagrollup",
        "quotas_tokenrollup",
        "quotas_usagerollup",
        "quotas_usagetag",
    }


IN_A_BODY = """
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE quotas_entitlement SET version = version + 1; -- so that it is known
END $$;
"""


@pytest.mark.parametrize(
    "source",
    [
        'cursor.execute("SELECT plan_id FROM quotas_entitlement WHERE account_id = %s", [pk])',
        'cursor.execute("select 1 from PUBLIC.Quotas_Entitlement")',
        "cursor.execute('SELECT 1 FROM public.\"quotas_entitlement\" AS e')",
        'cursor.execute(f"SELECT {columns} FROM quotas_entitlement")',
        'cursor.execute(SHORT if short else "UPDATE quotas_entitlement SET version = 1")',
        'FORWARD = "DELETE FROM quotas_entitlement;"\noperations = [RunSQL(FORWARD, BACKWARD)]',
        'Account.objects.raw("SELECT * FROM accounts_account JOIN quotas_entitlement USING (id)")',
        'Account.objects.annotate(v=RawSQL("(SELECT version FROM quotas_entitlement)", []))',
        f"RunSQL({IN_A_BODY!r})",
        'RunSQL("CREATE TRIGGER t BEFORE DELETE ON quotas_entitlement EXECUTE FUNCTION f()")',
    ],
)
def test_a_table_of_an_app_above_is_found_however_it_is_named(source: str) -> None:
    assert wrongly_named(source, package="accounts") == {"quotas_entitlement"}
    assert wrongly_named(source, package="billing") == set()
