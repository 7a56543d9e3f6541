"""Laws of the nano tasks: they load alone, ask the held-out items, and agree with the probe."""

from __future__ import annotations

from pathlib import Path

import pytest

from nait.nano import world
from nait.nano.pretraining import probe

TASKS = Path(__file__).parents[2] / "eval" / "tasks" / "nano"


@pytest.fixture(scope="module")
def manager():
    tasks = pytest.importorskip("lm_eval.tasks")
    return tasks.TaskManager(include_defaults=False, include_path=[str(TASKS)])


def test_the_group_holds_the_five_capabilities(manager) -> None:
    assert set(manager.all_groups) == {"nano"}
    assert set(manager.all_subtasks) == {f"nano_{name}" for name in world.capabilities()}


def test_tasks_agree_with_the_probe(manager) -> None:
    evaluator = pytest.importorskip("lm_eval.evaluator")
    from lm_eval.models.huggingface import HFLM

    model, tokenizer = probe.load()
    found = evaluator.evaluate(
        lm=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=50),
        task_dict=manager.load(["nano"]),
        limit=40,
        bootstrap_iters=0,
    )["results"]
    for name in world.capabilities():
        metric = next(
            value for key, value in found[f"nano_{name}"].items() if key.startswith(("acc,", "exact_match,"))
        )
        items = world.evaluation_rows(name)[:40]
        assert float(metric) == pytest.approx(probe.accuracy(model, tokenizer, name, items)["all"], abs=0.001)
