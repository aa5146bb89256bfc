"""The adapters as the settings make them."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from config.settings import Settings
from integrations.whatsapp.configuration import meta_from, twilio_from
from integrations.whatsapp.files import MediaLimits
from integrations.whatsapp.meta.client import MetaOptions


def test_without_credentials_there_is_no_adapter() -> None:
    settings = Settings(_env_file=None, twilio_account_sid="AC1")

    assert meta_from(settings) is None
    assert twilio_from(settings) is None


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("https://graph.example", "https://graph.example/v25.0"),
        ("https://graph.example/", "https://graph.example/v25.0"),
        ("https://graph.example/v24.0", "https://graph.example/v24.0"),
        ("http://127.0.0.1:8/proxy", "http://127.0.0.1:8/proxy/v25.0"),
    ],
)
def test_the_version_is_added_where_it_is_missing(url: str, root: str) -> None:
    options = MetaOptions(
        access_token=SecretStr("t"),
        graph_url=url,
        graph_version="v25.0",
        connect_timeout=1,
        answer_timeout=1,
        connections=1,
        media=MediaLimits(max_bytes=1, seconds=1, hosts=()),
    )

    assert options.root == root
