"""Who calls: accounts without a cap, a key each, and one service token, all known to the gate.

Imported only once the site runs, because Django's settings look for its servers.
"""

from uuid import uuid4

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.db import transaction  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.models import Account, Membership, User  # noqa: E402
from benchmark.target import Target, load_scripts  # noqa: E402
from gate.store import connection, hot_state  # noqa: E402
from gate.store.snapshots import AccountSnapshot, put_account_call  # noqa: E402
from gate.terms import key_text, week  # noqa: E402
from keys.issue import issue_api_key, issue_service_token  # noqa: E402
from keys.models import ApiKey  # noqa: E402
from partitions.models import Partition  # noqa: E402
from quotas import catalogue  # noqa: E402
from quotas.models.entitlements import Entitlement, PlanGrant  # noqa: E402
from quotas.models.plans import Plan  # noqa: E402
from quotas.models.used import UsageRollup  # noqa: E402
from quotas.usage import drain, fixtures, stream  # noqa: E402

ACCOUNTS = 1_000
# Hours of keys that an export has a row for: some seconds of one.
_EXPORTED_KEYS, _EXPORTED_DAYS = 100, 30
_EXPORTER = "exporter-"


def make_cast(ports: dict[str, int], usual_keys: tuple[str, ...]) -> Target:
    """The target of the subjects: fresh accounts and keys, on servers that run."""
    load_scripts(settings.REDIS_URL)
    return Target(
        ports=ports,
        redis_url=settings.REDIS_URL,
        keys=_make_keys(ACCOUNTS),
        service_token=issue_service_token(name="benchmark")[1],
        peppers=tuple(settings.KEY_PEPPERS),
        session=_signed_in(_reader()),
        exporting=_signed_in(_exporter()),
        usual_keys=usual_keys,
    )


def _reader() -> User:
    """Somebody with an account and a few keys of their own."""
    reader = User.objects.create_user(f"reader-{uuid4().hex}@example.com")
    for number in range(3):
        issue_api_key(
            account=reader.personal_account, name=f"key {number}", submission=uuid4(), by=reader
        )
    return reader


def _exporter() -> User:
    """Somebody who used much, which no caller was told of."""
    email = f"{_EXPORTER}{uuid4().hex}@example.com"
    fixtures.seed(email, keys=_EXPORTED_KEYS, days=_EXPORTED_DAYS, at=timezone.now())
    return User.objects.get(email=email)


def _signed_in(user: User) -> str:
    """The cookie of somebody."""
    browser = Client()
    browser.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    return f"{name}={browser.cookies[name].value}"


def settle() -> int:
    """Drain what is left of a measurement, so that the next does not pay for it."""
    return drain.move_all()


def recorded_charges() -> tuple[int, int]:
    """Charges in the rollups and charges that still wait in the streams, at one moment."""
    with transaction.atomic():
        # A drain takes these rows; while we hold them nothing moves from stream to rollup.
        partitions = list(Partition.objects.select_for_update())
        drained = sum(
            UsageRollup.objects.exclude(
                account__memberships__user__email__startswith=_EXPORTER
            ).values_list("chats", flat=True)
        )
        waiting = sum(
            len(stream.entries_after(partition.drained_id, index=partition.index, at_most=10**9))
            for partition in partitions
        )
    return drained, waiting


def _project(keys: list[ApiKey], plan: Plan) -> None:
    epochs = dict(Partition.objects.values_list("index", "epoch"))
    client = connection.sync_client(settings.REDIS_URL)
    this_week = week.week_of(week.to_ms(timezone.now()))
    for key in keys:
        handle = key.account.handle
        snapshot = AccountSnapshot(
            handle=handle,
            epoch=epochs[hot_state.partition_of(handle)],
            version=1,
            plan=plan.slug,
            packs=(),
            suspended=False,
            credits=0,
            boosts=(),
            week=this_week,
            used=0,
            credits_spent=0,
            keys=(key.state(),),
        )
        stored = hot_state.run(client, put_account_call(snapshot))
        if stored[0] != b"stored":
            raise RuntimeError(f"The gate did not take an account: {stored!r}")


def _make_keys(accounts: int) -> tuple[str, ...]:
    """The keys of so many fresh accounts, spread over the partitions as chance has it."""
    plan = Plan.objects.filter(weekly_cap=None).earliest("position")
    pepper = settings.KEY_PEPPERS[0]
    with transaction.atomic():
        made = Account.objects.bulk_create(
            Account(name=f"Caller {number}") for number in range(accounts)
        )
        # Before there are entitlements, so that no version rises.
        owner = User.objects.create_user(f"callers-{uuid4().hex}@example.com")
        Membership.objects.bulk_create(
            Membership(account=account, user=owner, role=Membership.Role.OWNER) for account in made
        )
        # Projected right below, so that the sweep need not.
        Entitlement.objects.bulk_create(
            Entitlement(account=account, pushed_version=1) for account in made
        )
        PlanGrant.objects.bulk_create(
            PlanGrant(
                account=account,
                plan=plan,
                source=PlanGrant.Source.ADMIN,
                starts_at=account.created_at,
                source_ref=f"benchmark:{account.pk}",
            )
            for account in made
        )
        texts = tuple(key_text.new_api_key(account.handle) for account in made)
        keys = ApiKey.objects.bulk_create(
            ApiKey(
                account=account,
                name="benchmark",
                digest=key_text.digest(text, pepper),
                pepper_id=pepper.pepper_id,
                last_four=text[-4:],
                submission=uuid4(),
                pushed_version=1,
            )
            for account, text in zip(made, texts, strict=True)
        )
    catalogue.push()
    _project(keys, plan)
    return texts
