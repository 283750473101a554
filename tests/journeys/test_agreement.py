"""Page, export, API and gate agree to the chat while checks come at half of the highest rate."""

import csv
import io
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx
import pytest

from tests.running_site import RunningSite

pytestmark = [pytest.mark.slow, pytest.mark.alone]

BATCH = 20
CALLERS = 4
TRY_SECONDS = 3.0
LOAD_SECONDS = 12.0

_PREPARE = """
from importlib import import_module
from uuid import uuid4
from django.conf import settings
from django.utils import timezone
from accounts.models import User
from keys.issue import issue_api_key
from keys.limits import KeyLimits
from keys.issue import issue_service_token
from quotas import grants
from quotas.models.plans import Plan
user = User.objects.create_user("busy@example.com")
account = user.personal_account
grants.move_to_plan(account=account, plan=Plan.objects.get(slug="pro"), at=timezone.now(),
                    source_ref="test")
limits = KeyLimits(scopes=("usage:read",))
for number in range(3):
    print("key", issue_api_key(account=account, name=f"k{number}", submission=uuid4(), by=user,
                               limits=limits)[1])
print("token", issue_service_token(name="load")[1])
session = import_module(settings.SESSION_ENGINE).SessionStore()
session["_auth_user_id"] = str(user.pk)
session["_auth_user_backend"] = settings.AUTHENTICATION_BACKENDS[0]
session["_auth_user_hash"] = user.get_session_auth_hash()
session.save()
print("session", settings.SESSION_COOKIE_NAME, session.session_key)
"""


@dataclass
class Load:
    """Checks that callers send in batches; how many were begun and how many decided."""

    site: RunningSite
    keys: list[str]
    token: str
    begun: int = 0
    answered: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def for_seconds(self, seconds: float, *, a_second: float | None) -> float:
        """Send so many checks a second, or as many as go; answers how many a second went."""
        before, began = self.answered, time.monotonic()
        with ThreadPoolExecutor(CALLERS) as pool:
            sent = [pool.submit(self._send, number, began + seconds, a_second)
                    for number in range(CALLERS)]  # fmt: skip
            for one in sent:
                one.result()
        return (self.answered - before) / (time.monotonic() - began)

    def _send(self, number: int, until: float, a_second: float | None) -> None:
        checks = [{"key": self.keys[(number + n) % len(self.keys)]} for n in range(BATCH)]
        pause = 0.0 if a_second is None else BATCH * CALLERS / a_second
        with httpx.Client(headers={"Authorization": f"Bearer {self.token}"}, timeout=30) as client:
            next_at = time.monotonic()
            while (now := time.monotonic()) < until:
                if pause:
                    time.sleep(max(0.0, next_at - now))
                    next_at = max(next_at + pause, now)
                with self.lock:
                    self.begun += BATCH
                answer = client.post(
                    f"{self.site.address}/quota/v1/check/batch", json={"checks": checks}
                )
                assert answer.status_code == 200, answer.text
                decided = [one for one in answer.json()["decisions"] if "problem" not in one]
                assert all(one["allowed"] for one in decided)
                # Whether the others were charged nobody knows: on a machine that is too busy the
                # gate gives up waiting for Valkey.
                with self.lock:
                    self.answered += len(decided)


def test_they_agree_under_load(site: RunningSite) -> None:
    told = [line.split() for line in site.manage("shell", "-v", "0", "-c", _PREPARE).splitlines()]
    keys = [line[1] for line in told if line[0] == "key"]
    (token,) = (line[1] for line in told if line[0] == "token")
    (cookie,) = ({line[1]: line[2]} for line in told if line[0] == "session")
    bearer = {"Authorization": f"Bearer {keys[0]}"}
    load = Load(site, keys, token)

    with httpx.Client(base_url=site.address, timeout=60) as client:
        client.cookies.update(cookie)

        def get(address: str, headers: dict[str, str] | None = None) -> httpx.Response:
            answer = client.get(address, headers=headers)
            assert answer.status_code == 200, answer.text
            return answer

        def by_api() -> int:
            return int(get("/api/v1/usage", headers=bearer).json()["chats"])

        def by_gate() -> int:
            return int(get("/api/v1/quota", headers=bearer).json()["week"]["used"])

        def by_export() -> int:
            text = get("/account/usage/export.csv").text
            return sum(int(row["chats"]) for row in csv.DictReader(io.StringIO(text)))

        def by_page() -> int:
            text = " ".join(get("/account/usage").text.split())
            used = re.search(r"([\d,]+) chats? used this week", text)
            total = re.search(r'class="muted small">\s*([\d,]+) chats?', text)
            assert used is not None, text
            # The gate's count and the sum of the bars stand on one page, and are one number.
            assert total is not None or used[1] == "0", text
            assert total is None or total[1] == used[1]
            return int(used[1].replace(",", ""))

        ways: dict[str, Callable[[], int]] = {
            "page": by_page, "export": by_export, "API": by_api, "gate": by_gate,
        }  # fmt: skip
        highest = load.for_seconds(TRY_SECONDS, a_second=None)
        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(load.for_seconds, LOAD_SECONDS, a_second=highest / 2)
            asked = dict.fromkeys(ways, 0)
            while not loading.done():
                for name, ask in ways.items():
                    low = load.answered
                    found = ask()
                    assert low <= found <= load.begun, f"{name}: {low} {found} {load.begun}"
                    asked[name] += 1
            rate = loading.result()
        assert min(asked.values()) >= 3
        in_the_end = {name: ask() for name, ask in ways.items()}
        assert len(set(in_the_end.values())) == 1, in_the_end
        assert load.answered <= in_the_end["gate"] <= load.begun
    print(f"{rate:,.0f} checks a second of {highest:,.0f}; asked {asked}")  # noqa: T201
