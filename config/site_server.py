"""Serves the site's pages: `python -m config.site_server`, in development and in production.

gunicorn (docs/decisions/0024) at the Unix socket SITE_SOCKET, or else at a port of this machine,
for the front alone: it holds back slow clients, and what it says of addresses is believed.
"""

import os
from typing import Any

from gunicorn.app.base import BaseApplication

os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"

from django.conf import settings

from config import signs_of_life

# The front keeps connections for less (deploy/Caddyfile), so that none ends as it is used.
_KEEP_ALIVE_SECONDS = 30
# After this a process that hangs is replaced. A page that waits in its thread is none of that. The
# front waits longer for pages.
_HANGING_SECONDS = 30


class SiteServer(BaseApplication):
    """Processes and threads by the settings; the application is read once, before they part."""

    def load_config(self) -> None:
        for name, value in options().items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        from config.wsgi import application  # noqa: PLC0415 - when the first process is ready

        return application


def options() -> dict[str, Any]:
    """What gunicorn is told."""
    port = f"{settings.SITE_HOST}:{settings.SITE_PORT}"
    return {
        "bind": f"unix:{settings.SITE_SOCKET}" if settings.SITE_SOCKET else port,
        "umask": _umask(),
        "worker_class": "gthread",
        "workers": settings.SITE_WORKERS,
        "threads": settings.SITE_THREADS,
        "preload_app": True,
        "keepalive": _KEEP_ALIVE_SECONDS,
        "timeout": _HANGING_SECONDS,
        "graceful_timeout": 8,
        # Django alone judges by which scheme somebody came.
        "secure_scheme_headers": {},
        "post_worker_init": _begin,
        # Whoever wants to steer it has signals.
        "control_socket_disable": True,
        "proc_name": "sansxel-site",
    }


def _begin(worker: object) -> None:
    """What each process does before it serves: who asks the gate goes first on few cores."""
    os.nice(settings.SITE_NICENESS)
    signs_of_life.keep_giving(signs_of_life.SITE)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


if __name__ == "__main__":
    SiteServer().run()
