"""Which release the data belongs to, and whether this one may work on it.

Migrations only add, so that older data is brought up to date by every later release. The other way
round nobody can know: older code beside newer data is told in a sentence and stops, except where
the newer release says that the older one may go on while it is being replaced.
"""

import logging
import re
from dataclasses import dataclass

from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from config import WORKS_BESIDE, __version__
from config.models import Installation

logger = logging.getLogger(__name__)

_TELLING = 3


class CannotUseData(Exception):
    """The data is of a newer release; the message says which, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Newer:
    """What shows that the data is newer than this code."""

    release: str | None  # None where the newer code is of the same version
    works_beside: str | None
    migrations: tuple[str, ...]

    @property
    def message(self) -> str:
        """One sentence about it, and one about what to do."""
        of = f"release {self.release}" if self.release else "newer code of the same release"
        shown = ", ".join(self.migrations[:_TELLING])
        more = len(self.migrations) - _TELLING
        migrated = f" (it has {shown}{f' and {more} more' if more > 0 else ''})" if shown else ""
        return (
            f"The data belongs to {of}{migrated}, and this is release {__version__}. "
            "Nothing was changed. Run the newer release, or restore a backup of before."
        )

    @property
    def lets_us_work(self) -> bool:
        """Whether processes of this release may work beside the newer one."""
        return self.works_beside is not None and order_of(self.works_beside) <= order_of(
            __version__
        )


def newer_data() -> Newer | None:
    """What shows that the data is newer than this code; None when it is not. DatabaseError."""
    recorder = MigrationRecorder(connection)
    if not recorder.has_table():
        return None
    installation = _installation()
    is_newer = installation is not None and order_of(installation.release) > order_of(__version__)
    migrations = _unknown_migrations(recorder)
    if not is_newer and not migrations:
        return None
    return Newer(
        release=installation.release if installation is not None and is_newer else None,
        works_beside=installation.works_beside if installation is not None else None,
        migrations=migrations,
    )


def refuse_newer_data() -> None:
    """Raise CannotUseData where anything shows that the data is newer than this code."""
    newer = newer_data()
    if newer is not None:
        raise CannotUseData(newer.message)


def look_at_data() -> None:
    """For a process that starts: refuse newer data, unless that lets this release go on.

    A process that is started again while a newer release takes over must not take the site down.
    """
    try:
        newer = newer_data()
    except DatabaseError as error:
        logger.warning("the release of the data is unknown: %s", type(error).__name__)
        return
    finally:
        connection.close()
    if newer is None:
        return
    if not newer.lets_us_work:
        raise CannotUseData(newer.message)
    logger.warning(
        "the data belongs to release %s, which lets release %s go on meanwhile",
        newer.release or "unknown",
        __version__,
    )


def record() -> None:
    """Write down that the data is of this release now."""
    Installation.objects.update_or_create(
        pk=1,
        defaults={
            "release": __version__,
            "works_beside": WORKS_BESIDE,
            "prepared_at": timezone.now(),
        },
    )


def order_of(version: str) -> tuple[tuple[int, ...], int, int]:
    """What versions are compared by: "0.2.0.dev0" is before "0.2.0", that before "0.10.0"."""
    found = re.fullmatch(r"(\d+(?:\.\d+)*)(?:\.?(dev|a|b|rc)(\d*))?", version)
    if found is None:
        raise ValueError(f"{version!r} is no version that this project writes")
    numbers = tuple(int(part) for part in found[1].split("."))
    stage = ("dev", "a", "b", "rc", None).index(found[2])
    return numbers, stage, int(found[3] or 0)


def _installation() -> Installation | None:
    """The row, if the data has one: release 0.1.0 wrote none."""
    table = Installation._meta.db_table  # noqa: SLF001 - Django documents it
    if table not in connection.introspection.table_names():
        return None
    # Only what every release has had; a newer one may have more columns.
    return Installation.objects.only("release", "works_beside").filter(pk=1).first()


def _unknown_migrations(recorder: MigrationRecorder) -> tuple[str, ...]:
    """Migrations of our apps that were applied and are not part of this code."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    here = {app for app, _ in loader.disk_migrations}
    # An app that is not here at all may be one that a later release did without.
    return tuple(
        sorted(
            f"{app}.{name}"
            for app, name in recorder.applied_migrations()
            if app in here and (app, name) not in loader.disk_migrations
        )
    )
