"""Letting tables of history be emptied between tests, which nobody may anywhere else."""

from django.db import connection

_HISTORIES = ("creditentry", "plangrant", "packswitch", "suspension", "spendingchoice")


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
