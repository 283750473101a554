"""The example of the quickstart tells our webhooks from those of others."""

import html
import re
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from alerts import delivering, raising, signing
from alerts.models import WebhookEndpoint
from tests.alerts.receiver import Receiver

pytestmark = pytest.mark.django_db


@pytest.fixture
def is_from_sansxel(client: Client, plans: None) -> Any:
    """The function of the example, as a reader would copy it."""
    page = client.get(reverse("quickstart")).content.decode()
    start = page.index(">", page.index('id="q-webhook"')) + 1
    code = page[start : page.index("</code>", start)]
    code = re.sub("<[^>]+>", "", code)
    namespace: dict[str, Any] = {}
    exec(html.unescape(code), namespace)
    return namespace["is_from_sansxel"]


def test_the_example_accepts_ours_and_nothing_else(
    is_from_sansxel: Any, endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    raising.raise_test(endpoint, at=timezone.now())
    delivering.post_webhooks(at=timezone.now())
    (request,) = receiver.received
    secret = signing.secret_of(endpoint)
    assert is_from_sansxel(request.headers, request.body, secret)
    assert not is_from_sansxel(request.headers, request.body + b" ", secret)
    other = {**request.headers, "webhook-id": "msg_other"}
    assert not is_from_sansxel(other, request.body, secret)
    with time_machine.travel(timezone.now().timestamp() + 600):
        assert not is_from_sansxel(request.headers, request.body, secret)
