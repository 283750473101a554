"""How long either front waits for a page, beside how long gunicorn leaves a process that hangs."""

import re

import pytest

from config.site_server import options
from dev.conditions import REPOSITORY


@pytest.mark.parametrize(
    ("file", "bound"),
    [
        ("Caddyfile", r"import behind \S+ \{\$SITE_ANSWERS_IN:(\d+)s\}"),
        ("nginx.conf", r"proxy_pass http://sansxel_site;[^}]*?proxy_read_timeout (\d+)s;"),
    ],
)
def test_a_process_that_hangs_is_replaced_before_the_front_gives_up(file: str, bound: str) -> None:
    found = re.search(bound, (REPOSITORY / "deploy" / file).read_text())
    assert found
    assert int(found[1]) > options()["timeout"] > 0
