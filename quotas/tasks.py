from celery import shared_task
from django.utils import timezone

from quotas import catalogue, grants, projection
from quotas.usage import closing, drain, refusals, totals


@shared_task(name="quotas.drain", ignore_result=True)
def drain_all(over_seconds: float = 0.0) -> None:
    """Move charges from Valkey into PostgreSQL, at once or spread over some time."""
    drain.move_all(over_seconds=over_seconds)
    refusals.move_all()


@shared_task(name="quotas.push_pending", ignore_result=True)
def push_pending() -> None:
    """Repeat changes that did not reach the gate."""
    catalogue.push_if_pending()
    projection.push_pending_accounts()


@shared_task(name="quotas.book_returns", ignore_result=True)
def book_returns() -> None:
    """Owe what was used of boosts whose money went back, before the gate knew of that."""
    grants.book_what_was_used_meanwhile(at=timezone.now())


@shared_task(name="quotas.reset_weekly_counters", ignore_result=True)
def reset_weekly_counters() -> None:
    """Close the weeks that have ended. Nobody's limit depends on it."""
    closing.close_ended_weeks(at=timezone.now())


@shared_task(name="quotas.total_usage", ignore_result=True)
def total_usage() -> None:
    """Make the totals of hours that have ended. Pages are as exact without, and slower."""
    totals.catch_up(at=timezone.now())


@shared_task(name="quotas.fold_usage", ignore_result=True)
def fold_usage() -> None:
    """Remove hours of single keys that are older than is kept; their days stay."""
    totals.fold(before=timezone.now() - totals.HOURS_ARE_KEPT)
