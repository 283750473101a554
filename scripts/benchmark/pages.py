"""Pages, as browsers ask for them: by the front, some for anybody and some for who is signed in."""

from benchmark.callers import Load, get, over_http
from benchmark.subjects import Subject
from benchmark.target import Target

FRONT = "front"
# The second ones are of somebody who is signed in.
FOR_ANYBODY = ("/", "/pricing")
FOR_ONE = ("/account/keys", "/account/usage", "/account/billing")


def _load(target: Target, paths: tuple[str, ...]) -> Load:
    questions = [
        get(path, cookie=target.session) if path in FOR_ONE else get(path) for path in paths
    ]
    return Load(over_http(target.ports[FRONT]), questions)


def _of(name: str, *paths: str) -> Subject:
    return Subject(
        name,
        f"pages by the front: {', '.join(paths)}",
        lambda target: _load(target, paths),
        FRONT,
        charges=False,
    )


EXPORT = Subject(
    "export",
    "every hour of 100 keys in 30 days, as a file by the front",
    lambda target: Load(
        over_http(target.ports[FRONT]),
        [get("/account/usage/export.csv?span=90days", cookie=target.exporting)],
    ),
    FRONT,
    charges=False,
)
MIXED = _of("pages", *FOR_ANYBODY, *FOR_ONE)
PAGES = tuple(_of(path, path) for path in (*FOR_ANYBODY, *FOR_ONE))
