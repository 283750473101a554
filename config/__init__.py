"""Where the parts meet: settings, URLs, the ASGI application, Celery and the public pages."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
__version__ = "0.2.0.dev0"
# The oldest release whose processes may go on working on the data of this one, while they are
# replaced one after the other. Raise it in a release that takes away what older ones need.
WORKS_BESIDE = "0.1.0"
