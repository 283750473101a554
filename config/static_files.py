"""Collect static files, but only when they have changed: compressing them takes seconds.

And what the front says where nobody behind it answers: pages that it serves like such files.
"""

import hashlib
from pathlib import Path

import django
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.template.loader import render_to_string


def collect_static_files() -> bool:
    """Bring STATIC_ROOT up to date; False when it was so already."""
    root = Path(settings.STATIC_ROOT)
    # Beside the folder, not in it: what is in it is served.
    note = root.with_name(f"{root.name}.collected")
    fingerprint = _fingerprint()
    if root.is_dir() and note.exists() and note.read_text() == fingerprint:
        return False
    note.unlink(missing_ok=True)
    call_command("collectstatic", interactive=False, verbosity=0)
    note.write_text(fingerprint)
    return True


def write_pages_of_front() -> None:
    """Bring the front's own pages up to date."""
    folder = Path(settings.STATIC_ROOT) / "front"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("away.html", "refused.html"):
        (folder / name).write_text(render_to_string(f"front/{name}"), encoding="utf-8")


def _fingerprint() -> str:
    """Tells one set of static files, and how they are stored, from another."""
    backend = settings.STORAGES["staticfiles"]["BACKEND"]
    digest = hashlib.sha256(f"{django.__version__} {backend} {settings.STATIC_ROOT}".encode())
    for finder in get_finders():
        for name, storage in finder.list([]):
            status = Path(storage.path(name)).stat()
            digest.update(f"\n{name} {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()
