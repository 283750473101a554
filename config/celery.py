"""The Celery application; its schedule stands in the settings."""

import os

from celery import Celery

from gate.terms import redaction

# Before anything logs, Celery itself included.
redaction.install()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("sansxel")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
