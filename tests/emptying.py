"""Emptying the database between tests, also of history, which nobody may anywhere else."""

from django.db import connection
from django.test import TransactionTestCase

_HISTORIES = ("creditentry", "plangrant", "packswitch", "suspension", "spendingchoice")
# What migrations made, and no test changes, stays.
_EMPTY = """
DO $$
DECLARE
    name regclass;
    is_filled boolean;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR name IN
        SELECT oid FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
            AND relname NOT IN ('auth_permission', 'django_content_type', 'django_migrations')
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', name) INTO is_filled;
        IF is_filled THEN
            EXECUTE format('DELETE FROM %s', name);
        END IF;
    END LOOP;
END
$$
"""


def let_histories_be_emptied() -> None:
    """Switch their triggers against TRUNCATE off; migrations that make the tables anew bring them.

    `tests/quotas/test_ledger_truncate.py` has them as they are everywhere else.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE accounts_auditevent DISABLE TRIGGER accounts_auditevent_no_truncate"
        )
        for name in _HISTORIES:
            cursor.execute(f"ALTER TABLE quotas_{name} DISABLE TRIGGER quotas_{name}_no_truncate")


def let_tables_be_emptied_quickly() -> None:
    """Delete what a test left, where Django truncates every table there is and fills two again.

    Without triggers and foreign keys, which takes a superuser: others go on as Django does it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SHOW is_superuser")
        if cursor.fetchone() != ("on",):
            return

    def empty(_test: TransactionTestCase) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_EMPTY)

    TransactionTestCase._fixture_teardown = empty  # type: ignore[attr-defined]
