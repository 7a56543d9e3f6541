"""Without a network an evaluation that needs the Hub ends at once, with one line."""

from __future__ import annotations

import socket
import time

import pytest

from nait.core.errors import ConfigError
from nait.eval.harness import LmEval
from nait.eval.network import check_hub


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "HF_HUB_OFFLINE",
        "HF_DATASETS_OFFLINE",
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


@pytest.mark.usefixtures("offline")
def test_a_hub_that_does_not_answer_is_one_message_before_a_model_is_opened() -> None:
    started = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        LmEval(["gsm8k"], online=True).check()
    assert time.monotonic() - started < 5
    assert "eval.online=true: http://127.0.0.1:9 cannot be reached" in str(caught.value)
    assert "eval.mirror=FOLDER" in str(caught.value)


@pytest.mark.usefixtures("offline")
def test_a_hub_that_accepts_and_says_nothing_is_given_up_within_five_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nait.eval.network.SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ConfigError, match="cannot be reached"):
            check_hub()


@pytest.mark.usefixtures("offline")
def test_tasks_that_need_no_hub_and_an_offline_cache_ask_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    LmEval(["nano_math"], online=True).check()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    check_hub()
