"""Where the parts meet: settings, URLs, the ASGI application, Celery and the public pages."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
