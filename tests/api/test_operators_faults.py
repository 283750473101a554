"""What the operator took away is 503 for customers, never a 500 that blames nobody."""

import dataclasses

import pytest

from tests.api.conftest import Api


def test_without_its_meter_a_chat_and_the_quota_are_503(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    api.world.catalogue = dataclasses.replace(api.world.catalogue, meters={"images": 4})
    for answer in (api.chat(), api.request(method="GET", path="/api/v1/quota")):
        assert answer.status_code == 503
        assert answer.json()["code"] == "quota_unavailable"
        assert int(answer.headers["retry-after"]) > 0
    assert caplog.text.count("is not in the catalogue: add it again") == 2
