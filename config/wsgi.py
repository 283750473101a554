"""The site's pages as a WSGI application; the gate is another process (`config.asgi`)."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()

from django.urls import get_resolver  # noqa: E402

from config import starting  # noqa: E402

starting.require_servers_and_data()
# Each process that is forked from this one opens connections of its own.
starting.forget_connections()
# Every page's code is read now, not by the first visitor.
get_resolver().url_patterns  # noqa: B018 - reading it reads them
starting.keep_what_was_made()
