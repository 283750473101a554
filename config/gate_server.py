"""Serves the gate: `python -m config.gate_server`, in development and in production.

It listens on GATE_HOST and GATE_PORT, the door of API servers and gateways, and on the Unix socket
GATE_SOCKET, if there is to be one, where the front asks.
"""

import os
import sys

import uvicorn
from uvicorn.supervisors import Multiprocess

os.environ["DJANGO_SETTINGS_MODULE"] = "config.gate_settings"

from django.conf import settings

from config import sockets
from gate.service.serving import OPTIONS


def main() -> None:
    """Serve until somebody asks to stop."""
    try:
        listening = [sockets.at_port(settings.GATE_HOST, settings.GATE_PORT)]
        if settings.GATE_SOCKET:
            listening.append(sockets.at_path(settings.GATE_SOCKET))
    except sockets.CannotListen as error:
        sys.exit(str(error))
    options = {**OPTIONS, "timeout_graceful_shutdown": settings.GATE_STOP_SECONDS}
    config = uvicorn.Config("config.asgi:application", workers=settings.GATE_WORKERS, **options)
    if settings.GATE_WORKERS > 1:
        Multiprocess(config, sockets=listening).run()
    else:
        uvicorn.Server(config).run(sockets=listening)


if __name__ == "__main__":
    main()
