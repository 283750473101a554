"""The rooms of the project: its packages, and the packages in them."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
# What Django asks for is part of the room that it stands in.
_OF_DJANGO = {"admin", "management", "migrations", "models", "templatetags"}


def packages() -> list[str]:
    """The packages at the top: accounts, api, billing, …"""
    return sorted(path.parent.name for path in REPOSITORY.glob("*/__init__.py"))


def rooms() -> list[str]:
    """The packages at the top, and with a slash those in them: gate, gate/decision, …"""
    inner = [
        path.parent.relative_to(REPOSITORY)
        for package in packages()
        for path in (REPOSITORY / package).glob("*/__init__.py")
    ]
    return sorted([*packages(), *(str(path) for path in inner if path.name not in _OF_DJANGO)])


def room_of(file: str) -> str:
    """The room that a file is in, by its path from the repository."""
    return max((room for room in rooms() if file.startswith(f"{room}/")), key=len)
