"""Names from data in a published card and in a proposed command have no effect."""

from __future__ import annotations

from typing import Any

import pytest

from nait.publishing.cards import card
from nait.sweeps.reports.next_runs import _safe_words

NAME = "x`\n---\nbase_model: evil/m\n<script>[a](javascript:b)|*\x1b[2J"
RUN: dict[str, Any] = {
    "selector": NAME, "target": NAME, "budget": NAME, "pool": NAME, "model": NAME, "seed": 0,
    "fingerprints": {"pool": "a", "model": "b"},
    "config": {"selector": {NAME: NAME}, "order": {}, "budget": {}},
}  # fmt: skip


def test_a_published_card_shows_names_as_they_are() -> None:
    text = card(RUN, {}, lambda _group, _option: {})
    assert text.count("\n---\n") == 1  # the end of the front matter
    assert "\nbase_model" not in text
    assert "\x1b" not in text
    title = text.split("\n\n")[1]
    assert "<script" not in title
    assert "[a](" not in title


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf x",
        "nait $(rm) ; rm x",
        "nait hydra.run.dir=/tmp seed=1",
        "nait --config-dir evil selector=x",
        "nait selector._target_=os.system",
        "nait model.trust_remote_code=true",
        "nait eval.trust_task_code=true",
        "nait eval.allow_code_execution=true",
        "nait 'data.path=${oc.env:HOME}'",
        "nait 'unclosed",
    ],
)
def test_a_recorded_command_that_may_run_code_is_not_proposed(command: str) -> None:
    assert _safe_words(command) == []
    assert _safe_words("nait selector=rds seed=1") == ["nait", "selector=rds", "seed=1"]
