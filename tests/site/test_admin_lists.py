"""Lists of the admin ask PostgreSQL for what its indexes have, however many rows there are."""

import re

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.large_lists import LargeListAdmin
from accounts.models import Account, User
from billing.models import Purchase
from billing.seed import seed_products
from quotas.models.ledger import CreditEntry
from quotas.models.plans import Plan
from tests.site.answer import Answer

AT_MOST_QUERIES = 10
# What people set up by hand is counted on fingers, and shown as Django does.
SMALL = {
    *("auth.Group", "billing.Product", "keys.ServiceToken", "quotas.AIModel", "quotas.Meter"),
    *("quotas.Pack", "quotas.Plan", "quotas.Provider", "quotas.QuotaPolicy"),
}


def fill(table: str, columns: str, values: str, *, count: int = 20_000) -> None:
    """So many rows, of which `i` is the number."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({columns}) SELECT {values} FROM generate_series(1, {count}) i"
        )
        cursor.execute(f"ANALYZE {table}")


def ago(minutes: str = "i") -> str:
    """A moment of a row, in SQL."""
    return f"timestamptz '2026-11-29 12:00Z' - ({minutes}) * interval '1 minute'"


def look(client: Client, name: str, query: str = "") -> tuple[Answer, list[str]]:
    """A list of the admin, and what PostgreSQL was asked for it."""
    with CaptureQueriesContext(connection) as asked:
        page = client.get(f"{reverse(f'admin:{name}_changelist')}?{query}")
    # A filter or search that Django refuses leads back to the list.
    assert page.status_code == 200, query
    return page, [question["sql"] for question in asked]


def scans(questions: list[str], table: str) -> list[str]:
    """The plans that read a table from its beginning to its end."""
    found = []
    for question in questions:
        if not question.startswith("SELECT"):
            continue
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN " + question.replace("%", "%%"), [])
            plan = "\n".join(row[0] for row in cursor.fetchall())
        if re.search(rf"Seq Scan on {table}\b", plan):
            found.append(f"{question}\n{plan}")
    return found


def listed(page: Answer) -> int:
    return len(page.context["cl"].result_list)


# --- which lists ------------------------------------------------------------------------------


def test_every_list_is_for_many_rows_unless_it_is_known_to_be_small() -> None:
    others = {
        model._meta.label
        for model, shown in admin.site._registry.items()
        if not isinstance(shown, LargeListAdmin)
    }
    assert others == SMALL


def test_every_list_has_an_order_that_ends_with_what_is_unique(admin_user: User) -> None:
    request = RequestFactory().get("/")
    request.user = admin_user
    for model, shown in admin.site._registry.items():
        if isinstance(shown, LargeListAdmin):
            changes = shown.get_changelist_instance(request)
            order = changes.get_ordering(request, changes.root_queryset)
            assert str(order[-1]).lstrip("-") in {"pk", "id", "email"}, model


# --- the credit ledger ------------------------------------------------------------------------


@pytest.fixture
def ledger(account: Account, outsider: User) -> Account:
    """200,000 lines of two accounts, a minute apart; one in a hundred is no chat."""
    fill(
        "quotas_creditentry",
        "account_id, credits, kind, source_ref, note, created_at",
        f"CASE WHEN i % 2 = 0 THEN {account.pk} ELSE {outsider.personal_account.pk} END,"
        " CASE WHEN i % 100 = 0 THEN 5 ELSE -1 END,"
        " CASE WHEN i % 100 = 0 THEN 'grant' ELSE 'spend' END,"
        f" 'test:' || i, '', {ago()}",
        count=200_000,
    )
    return account


def test_a_ledger_of_200_000_lines_is_read_by_its_indexes(
    admin_client: Client, ledger: Account, owner: User
) -> None:
    name = "quotas_creditentry"
    handle = ledger.handle
    expected = {
        "": (100, "10,000+"),
        "p=100": (100, "10,000+"),
        f"q={owner.email}": (100, "10,000+"),
        f"q={handle}": (100, "10,000+"),
        "q=olga": (100, "10,000+"),
        f"account={ledger.pk}": (100, "10,000+"),
        "q=nobody": (0, "0"),
        "kind__exact=grant": (100, "2000"),
        "kind__exact=purchase": (0, "0"),
        "kind__exact=spend": (100, "10,000+"),
        "created_at_in=2026-11": (100, "10,000+"),
        f"created_at_in=2026&kind__exact=grant&q={handle}": (100, "2000"),
        "created_at_in=2019": (100, "10,000+"),
        "_facets=True": (100, "10,000+"),
        "all=": (100, "10,000+"),
        "o=4": (100, "10,000+"),
    }
    look(admin_client, name)
    for query, (rows, count) in expected.items():
        page, questions = look(admin_client, name, query)
        assert (listed(page), str(page.context["cl"].result_count)) == (rows, count), query
        assert len(questions) <= AT_MOST_QUERIES, query
        assert scans(questions, "quotas_creditentry") == [], query
    assert "10,000+ credit ledger" in page.content.decode()


def test_the_check_itself_finds_a_scan(ledger: Account) -> None:
    with CaptureQueriesContext(connection) as asked:
        CreditEntry.objects.filter(note__icontains="x").count()
    assert scans([question["sql"] for question in asked], "quotas_creditentry")


def test_a_page_past_the_last_leads_back_to_the_list(admin_client: Client, ledger: Account) -> None:
    for page in ("101", "99999999999999999999", "x"):
        address = f"{reverse('admin:quotas_creditentry_changelist')}?p={page}"
        assert listed(admin_client.get(address, follow=True)) == 100


# --- the others -------------------------------------------------------------------------------

PLACES = "(SELECT min(id) FROM accounts_account WHERE handle LIKE 'h%')"
PEOPLE = "(SELECT min(id) FROM accounts_user WHERE email LIKE 'person%')"
ACCOUNT = f"{PLACES} + i - 1"


@pytest.fixture
def crowd(plans: None) -> None:
    """20,000 of everything that grows."""
    seed_products()
    free, plus = (Plan.objects.get(slug=slug).pk for slug in ("free", "plus"))
    fill(
        "accounts_user",
        "email, name, password, is_superuser, is_staff, is_active, date_joined",
        "'person' || i || '@example.com', 'Person ' || i, '', false, false, i % 1000 <> 0, "
        + ago(),
    )
    fill(
        "accounts_account",
        "handle, name, is_personal, created_at",
        f"'h' || lpad(i::text, 7, '0'), 'Account ' || i, i % 1000 <> 0, {ago()}",
    )
    fill(
        "accounts_membership",
        "account_id, user_id, role, created_at",
        f"{ACCOUNT}, {PEOPLE} + i - 1, 'owner', now()",
    )
    fill(
        "account_emailaddress",
        'user_id, email, verified, "primary"',
        f"{PEOPLE} + i - 1, 'person' || i || '@example.com', true, true",
    )
    fill(
        "keys_apikey",
        "account_id, name, digest, pepper_id, last_four, submission, created_at, scopes, addresses,"
        " version, pushed_version, revoked_at",
        f"{ACCOUNT}, 'key ' || i, 'd' || i, '1', lpad((i % 10000)::text, 4, '0'),"
        f" gen_random_uuid(), {ago()}, '{{}}', '{{}}', 1, 1,"
        " CASE WHEN i % 1000 = 0 THEN now() END",
    )
    fill(
        "billing_purchase",
        "id, account_id, product_id, product_name, kind, amount_cents, currency, chats, valid_days,"
        " credits, status, submission, stripe_session_id, checkout_url, problem, created_at,"
        " paid_at, resolved_at",
        f"gen_random_uuid(), {ACCOUNT}, (SELECT min(id) FROM billing_product), 'thing', 'credits',"
        " 500, 'usd', 0, 0, 500, CASE WHEN i % 1000 = 0 THEN 'review' ELSE 'paid' END,"
        " gen_random_uuid(), 'cs_' || i, '', CASE WHEN i % 1000 = 0 THEN 'odd' ELSE '' END,"
        f" {ago()}, CASE WHEN i % 1000 <> 0 THEN now() END,"
        " CASE WHEN i % 2000 = 0 THEN now() END",
    )
    fill(
        "billing_stripeevent",
        "event_id, type, payload, received_at, handled_at, attempts, retry_at, error",
        "'evt_' || i, CASE WHEN i % 1000 = 0 THEN 'rare' ELSE 'checkout.session.completed' END,"
        " json_build_object('data', json_build_object('object',"
        " json_build_object('id', 'of_' || i))),"
        f" {ago()}, CASE WHEN i % 1000 <> 0 THEN now() END, 0, now(),"
        " CASE WHEN i % 2000 = 0 OR i % 1000 = 1 THEN 'no answer' ELSE '' END",
    )
    fill(
        "billing_refund",
        "purchase_id, stripe_session_id, amount_cents, currency, reason, submission, ends_problem,"
        " status, error, stripe_refund_id, created_at, ask_at",
        "(SELECT id FROM billing_purchase LIMIT 1), 'cs_' || i, 1, 'usd', '', gen_random_uuid(),"
        " false, CASE WHEN i % 1000 = 0 THEN 'failed' ELSE 'succeeded' END, '', 're_' || i,"
        f" {ago()}, now()",
    )
    fill(
        "billing_difference",
        "kind, account_id, subject, expected, found, first_seen_at, last_seen_at, resolved_at",
        "CASE WHEN i % 1000 = 0 THEN 'amount' ELSE 'returned' END,"
        f" {ACCOUNT}, 'boost:' || i, '1', '2', {ago()}, now(),"
        " CASE WHEN i % 1000 <> 0 THEN now() END",
    )
    fill(
        "billing_bookcheck",
        "kind, started_at, finished_at, since, until, positions, counts, error",
        "CASE WHEN i % 1000 = 0 THEN 'comparison' ELSE 'reconciliation' END,"
        f" {ago()}, now(), now(), now(), '{{}}', '{{}}', ''",
    )
    fill(
        "quotas_boost",
        "account_id, chats, spent, starts_at, expires_at, source_ref, note",
        f"{ACCOUNT}, 5, 0, {ago()}, {ago('i - 10000')}, 'test:' || i, ''",
    )
    fill(
        "quotas_plangrant",
        "account_id, plan_id, source, starts_at, ends_at, ended_at, source_ref, created_at, note,"
        " end_note",
        f"{ACCOUNT}, CASE WHEN i % 1000 = 0 THEN {plus} ELSE {free} END,"
        f" CASE WHEN i % 1000 = 0 THEN 'admin' ELSE 'team' END, {ago()},"
        f" CASE WHEN i % 500 = 2 THEN {ago('i - 1')} END, CASE WHEN i % 500 = 1 THEN {ago()} END,"
        " 'test:' || i, now(), '', ''",
    )
    fill(
        "quotas_packswitch",
        "account_id, pack_id, created_at, note, end_note",
        f"{ACCOUNT}, (SELECT min(id) FROM quotas_pack), {ago()}, '', ''",
    )
    fill(
        "quotas_spendingchoice",
        "account_id, created_at, note, ended_at, end_note",
        f"{ACCOUNT}, {ago()}, '', CASE WHEN i % 1000 <> 0 THEN {ago()} END, ''",
    )
    fill(
        "quotas_suspension",
        "account_id, created_at, note, ended_at, end_note",
        f"{ACCOUNT}, {ago()}, '', CASE WHEN i % 1000 <> 0 THEN {ago()} END, ''",
    )
    fill(
        "quotas_weekclose",
        "account_id, week, allowance, boost, credits, closed_at",
        f"{ACCOUNT}, 2900, 1, 0, 0, {ago()}",
    )


# What is asked of each list, and how many rows it must show.
ASKED = {
    "accounts_user": {
        "": 100,
        "q=PERSON777@": 1,
        "q=person 777": 11,
        "is_active__exact=0": 20,
        "is_staff__exact=1": 1,
        "is_superuser__exact=1": 1,
        "date_joined_in=2026-11": 100,
    },
    "account_emailaddress": {"": 100, "q=Person777@example.com": 1},
    "accounts_account": {
        "": 100,
        "q=h0000777": 1,
        "q=account 777": 11,
        "q=person777@": 1,
        "is_personal__exact=0": 20,
        "created_at_in=2026-11": 100,
        "plan={plus}": 20,
        "suspended=yes": 20,
        "suspended=no": 100,
    },
    "keys_apikey": {
        "": 50,
        "q=KEY 777": 11,
        "q=0777": 2,
        "q=h0000777": 1,
        "q=person777@": 1,
        "revoked_at__isempty=0": 20,
        "revoked_at__isempty=1": 50,
        "created_at_in=2026-11": 50,
    },
    "billing_purchase": {
        "": 100,
        "q=cs_777": 1,
        "q={purchase}": 1,
        "q=h0000777": 1,
        "alarm=open": 10,
        "alarm=resolved": 10,
        "status__exact=review": 20,
        "kind__exact=credits": 100,
        "created_at_in=2026-11": 100,
    },
    "billing_stripeevent": {
        "": 100,
        "q=evt_777": 1,
        "q=rare": 20,
        "q=of_777": 1,
        "type=rare": 20,
        "state=waiting": 10,
        "state=failed": 10,
        "state=handled": 100,
        "state=without_effect": 20,
        "received_at_in=2026-11": 100,
    },
    "billing_refund": {
        "": 100,
        "q=re_777": 1,
        "q=cs_777": 1,
        "status__exact=failed": 20,
        "created_at_in=2026-11": 100,
    },
    "billing_difference": {
        "": 100,
        "q=boost:777": 1,
        "state=open": 20,
        "kind__exact=amount": 20,
        "first_seen_at_in=2026-11": 100,
    },
    "billing_bookcheck": {
        "": 100,
        "kind__exact=comparison": 20,
        "started_at_in=2026-11": 100,
    },
    "quotas_boost": {
        "": 100,
        "q=h0000777": 1,
        "starts_at_in=2026-11": 100,
        "expires_at_in=2026-11": 100,
    },
    "quotas_plangrant": {
        "": 100,
        "q=h0000777": 1,
        "source__exact=admin": 20,
        "plan__id__exact={plus}": 20,
        "starts_at_in=2026-11": 100,
        "ends_at_in=2026-11": 40,
        "ended_at_in=2026-11": 40,
    },
    "quotas_packswitch": {"": 100, "q=h0000777": 1, "created_at_in=2026-11": 100},
    "quotas_spendingchoice": {
        "": 100,
        "q=h0000777": 1,
        "ended_at__isempty=1": 20,
        "created_at_in=2026-11": 100,
    },
    "quotas_suspension": {
        "": 100,
        "q=h0000777": 1,
        "ended_at__isempty=1": 20,
        "created_at_in=2026-11": 100,
    },
    "quotas_weekclose": {"": 100, "q=h0000777": 1, "closed_at_in=2026-11": 100},
}


GROWING = ("accounts_membership", *ASKED)


def test_no_list_reads_its_table_from_beginning_to_end(admin_client: Client, crowd: None) -> None:
    known = {
        "plus": str(Plan.objects.get(slug="plus").pk),
        "purchase": str(Purchase.objects.latest("created_at").pk),
    }
    failed = {}
    for name, queries in ASKED.items():
        for written, rows in queries.items():
            query = written.format(**known)
            page, questions = look(admin_client, name, query)
            found = [plan for table in GROWING for plan in scans(questions, table)]
            if (listed(page), found) != (rows, []) or len(questions) > AT_MOST_QUERIES:
                failed[name, query] = (listed(page), len(questions), found)
    assert failed == {}
