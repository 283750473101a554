"""Where keys were used from: written down by whoever decides, and forgotten in time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

from django.db import connection, transaction

from gate.service.sightings import CLIENT_AT_MOST, Sighting
from gate.terms import addresses
from gate.terms.redaction import redact
from keys.models import ApiKey, KeySighting

KEPT_FOR = timedelta(days=90)
_AT_ONCE = 200
_AGAIN_AFTER = timedelta(minutes=1)


def record_sightings(sightings: Sequence[Sighting]) -> None:
    """Write down where keys were used. A network that a key was never seen from is news.

    The first one of a key is not: it has to be used from somewhere.
    """
    last: dict[tuple[int, str], tuple[str, str, int]] = {}
    for seen in sorted(sightings, key=attrgetter("at_ms")):
        address = addresses.from_hex(seen.address)
        network = str(addresses.network_around(address))
        client = redact(seen.client.replace("\0", ""))[:CLIENT_AT_MOST]
        last[seen.key_id, network] = (str(address), client, seen.at_ms)
    # In one order everywhere: two processes that meet in the same rows cannot wait for each other.
    rows = [(*place, *what) for place, what in sorted(last.items())]
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO keys_keysighting
                   (key_id, network, address, client, first_at, last_at, is_news)
            SELECT key.id, seen.network, seen.address, seen.client,
                   to_timestamp(seen.at_ms / 1000.0), to_timestamp(seen.at_ms / 1000.0),
                   EXISTS (SELECT 1 FROM keys_keysighting AS before WHERE before.key_id = key.id)
            FROM unnest(%s::bigint[], %s::text[], %s::inet[], %s::text[], %s::bigint[])
                 AS seen (key_id, network, address, client, at_ms)
            JOIN keys_apikey AS key ON key.id = seen.key_id
            ORDER BY seen.key_id, seen.network
            ON CONFLICT (key_id, network) DO UPDATE
            SET last_at = excluded.last_at,
                address = excluded.address,
                client = CASE excluded.client WHEN '' THEN keys_keysighting.client
                         ELSE excluded.client END
            WHERE keys_keysighting.last_at < excluded.last_at
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )


def notice(key: ApiKey, *, address: str, client: str, at: datetime) -> None:
    """Write down that a program asks the site itself with a key, no more than once a minute.

    address: 32 hex digits, or "" where nobody knows.
    """
    if not address:
        return
    network = str(addresses.network_around(addresses.from_hex(address)))
    lately = KeySighting.objects.filter(key=key, network=network, last_at__gt=at - _AGAIN_AFTER)
    if not lately.exists():
        record_sightings([Sighting(key.pk, address, client, round(at.timestamp() * 1000))])


def networks_of(key: ApiKey, *, at_most: int) -> Sequence[KeySighting]:
    """Where it was used from, the last first."""
    known = key.sightings.exclude(network="").order_by("-last_at", "-pk")
    return list(known[:at_most])


def forget_old(*, at: datetime) -> int:
    """Delete where keys were used from longer ago; answers how many rows went."""
    old = KeySighting.objects.exclude(network="").filter(last_at__lt=at - KEPT_FOR)
    gone = 0
    rows = old.order_by("key_id", "pk").values_list("pk", "key_id", "first_at", "last_at")
    while some := list(rows[:_AT_ONCE]):
        with transaction.atomic():
            for key_id, of_key in groupby(some, key=lambda row: row[1]):
                seen = list(of_key)
                KeySighting.objects.bulk_create(
                    [
                        KeySighting(
                            key_id=key_id,
                            first_at=min(row[2] for row in seen),
                            last_at=max(row[3] for row in seen),
                        )
                    ],
                    ignore_conflicts=True,
                )
            ids = [row[0] for row in some]
            # One that is used again this moment stays.
            deleted, _ = old.filter(pk__in=ids).delete()
            gone += deleted
        if not deleted:
            break
    return gone
