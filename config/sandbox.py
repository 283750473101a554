"""The Stripe sandbox as an ASGI application of its own, for development: it plays Stripe."""

import os
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from stripe_sandbox.app import create_app

if not settings.STRIPE_IS_SANDBOX:
    raise ImproperlyConfigured("STRIPE_SECRET_KEY is Stripe's own: there is nothing to play.")

application = create_app(
    mount=settings.SANDBOX_MOUNT,
    store_path=Path(settings.DATA_DIR) / "sandbox.sqlite3",
    public_url=settings.SITE_URL,
    webhook_url=f"{settings.FRONT_URL or settings.SITE_URL}/stripe/webhook",
    secret_key=settings.STRIPE_SECRET_KEY,
    webhook_secret=settings.STRIPE_WEBHOOK_SECRETS[0],
)
