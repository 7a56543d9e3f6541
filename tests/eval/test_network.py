"""Without a network an evaluation that needs the Hub ends at once, with one line."""

from __future__ import annotations

import pytest

from nait.core.errors import ConfigError
from nait.eval.harness import LmEval
from nait.hub.reachability import OFFLINE


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OFFLINE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


@pytest.mark.usefixtures("no_waiting")
def test_a_hub_that_does_not_answer_is_one_message_before_a_model_is_opened() -> None:
    with pytest.raises(ConfigError) as caught:
        LmEval(["gsm8k"], online=True).check()
    message = str(caught.value)
    assert message.startswith(
        "eval.online=true: the data of gsm8k come from the Hub, and http://127.0.0.1:9 cannot"
    )
    assert "eval.mirror=FOLDER" in message
    assert "HF_HUB_OFFLINE=1" in message


def test_tasks_that_need_no_hub_and_an_offline_cache_ask_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    LmEval(["nano_math"], online=True).check()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    LmEval(["gsm8k"], online=True).check()
