"""How uvicorn serves the gate; docs/decisions/0009-shortcut.md says why each.

How long a client is waited for, and how many there may be, stands in `limits`.
"""

from typing import Any

OPTIONS: dict[str, Any] = {
    "http": "gate.service.shortcut:ShortcutProtocol",
    "loop": "uvloop",
    "ws": "none",
    "lifespan": "on",
    "proxy_headers": False,
    "access_log": False,
    "server_header": False,
    "backlog": 4096,
    "timeout_graceful_shutdown": 8,
}


def as_words() -> list[str]:
    """The same as arguments of uvicorn's command, for whoever serves something else alike."""
    words: list[str] = []
    for name, value in OPTIONS.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{'' if value else 'no-'}{option}")
        else:
            words += (f"--{option}", str(value))
    return words
