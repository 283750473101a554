#!/usr/bin/env python
"""Django's command line for this site."""

import os
import sys

from django.core.management import execute_from_command_line

from accounts.acting import Acting, Via, acting

if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        # A terminal without UTF-8 shows question marks; it must not end a command half-way.
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    with acting(Acting(Via.COMMAND, name=" ".join(["manage.py", *sys.argv[1:2]]))):
        execute_from_command_line(sys.argv)
