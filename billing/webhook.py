"""/stripe/webhook: the one door for Stripe's events."""

import logging

from django.db import DataError
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from accounts import outside
from billing import events, tasks
from billing.stripe_client import webhooks

logger = logging.getLogger(__name__)

_BODY_LIMIT = 1024 * 1024


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """Verify, store, answer 2xx; the work is a task's. An event that came before is a 2xx too."""
    try:
        payload = request.read(_BODY_LIMIT + 1)
    except UnreadablePostError:
        return JsonResponse({"error": "the body broke off"}, status=400)
    if len(payload) > _BODY_LIMIT:
        return JsonResponse({"error": "the body is too large"}, status=413)
    try:
        event = webhooks.verify_event(payload, request.headers.get("Stripe-Signature", ""))
    except webhooks.ForgedEvent as error:
        logger.warning("a webhook was refused: %s", error)
        return JsonResponse({"error": "this is not an event signed for us"}, status=400)
    try:
        stored = events.store(event, at=timezone.now())
    except DataError:
        # JSON can spell a zero byte, half a character or NaN; PostgreSQL does not keep those.
        return JsonResponse({"error": "this event cannot be stored"}, status=400)
    if stored is not None:
        # The broker may be slow to take it.
        outside.let_go()
        try:
            tasks.handle_event.delay(stored.pk)
        except (OperationalError, RedisError, OSError):
            # It is stored, so the sweep will find it.
            logger.warning("stripe event %s waits for the sweep", stored.event_id)
    return JsonResponse({"received": True})
