"""Laws of predicted evaluations: few items of some tasks tell what all of them take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nait.planning.timings import evaluation_timing
from nait.planning.timings.evaluation_timing import MOST_TASKS, Point, sampled, time_evaluation, whole_seconds


@dataclass
class Clock:
    """A clock that evaluations advance."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now


@dataclass
class Suite:
    """A suite whose evaluation takes `a_task` for each task, `an_item` for each item and, once, `once`."""

    clock: Clock
    whole: Mapping[str, Mapping[str, int]]
    once: float = 5.0
    a_task: float = 0.5
    an_item: float = 0.01
    runs: list[int] = field(default_factory=list)
    adapters: list[Any] = field(default_factory=list)

    def check(self) -> None: ...

    def key(self) -> Mapping[str, Any]:
        return {}

    def items(self) -> Mapping[str, Any]:
        return {}

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        return self.whole

    def part(self, items: Mapping[str, int]) -> Part:
        return Part(self, items)

    def evaluate(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("the whole suite is not rehearsed")


@dataclass
class Part(Suite):
    """A part of it."""

    def __init__(self, suite: Suite, items: Mapping[str, int]) -> None:
        self.suite, self.chosen = suite, items

    def evaluate(self, _: Any, adapter: Any, **__: Any) -> Any:
        suite, items = self.suite, sum(self.chosen.values())
        suite.adapters.append(adapter)
        suite.clock.now += (
            suite.a_task * len(self.chosen) + suite.an_item * items + suite.once * (not suite.runs)
        )
        suite.runs.append(items)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(evaluation_timing, "time", made)
    return made


def test_a_suite_of_many_tasks_is_predicted_from_some_of_them(clock: Clock, tmp_path: Path) -> None:
    suite = Suite(clock, {"mmlu": {f"subject {i}": 200 for i in range(57)}, "gsm8k": {"gsm8k": 1319}})
    seconds, how = time_evaluation(suite, None, tmp_path, seconds=60.0)  # type: ignore[arg-type]
    assert seconds == pytest.approx(5.0 + 58 * 0.5 + (57 * 200 + 1319) * 0.01)
    assert clock.now < 120
    assert "of 12,719 items" in how


def test_rehearsals_end_with_the_time_that_they_have(clock: Clock, tmp_path: Path) -> None:
    suite = Suite(clock, {"slow": {"slow": 10_000}}, an_item=10.0)
    seconds, _ = time_evaluation(suite, None, tmp_path, seconds=1.0)  # type: ignore[arg-type]
    assert seconds == pytest.approx(5.0 + 0.5 + 100_000)
    assert suite.runs == [1, 1, 4, 1]  # what an item costs takes two sizes


def test_a_small_suite_is_read_whole(clock: Clock, tmp_path: Path) -> None:
    suite = Suite(clock, {"both": {"a": 3, "b": 7}})
    seconds, how = time_evaluation(suite, None, tmp_path, seconds=60.0)  # type: ignore[arg-type]
    assert seconds == pytest.approx(5.0 + 2 * 0.5 + 10 * 0.01)
    assert how.startswith("from 10 of 10 items")


def test_tasks_are_sampled_over_the_whole_list() -> None:
    names = list(sampled({str(i): i for i in range(57)}))
    assert len(names) == MOST_TASKS
    assert int(names[0]) < 10 and int(names[-1]) > 45  # noqa: PT018
    assert sampled({"a": 1}) == {"a": 1}


def test_one_rehearsal_is_scaled_by_its_items() -> None:
    assert whole_seconds([Point(10, 2.0)], 10, 1.0) == 2.0
    assert whole_seconds([Point(10, 2.0)], 30, 1.0) == 6.0


def test_an_evaluator_without_parts_has_no_prediction(tmp_path: Path) -> None:
    seconds, how = time_evaluation(object(), None, tmp_path, seconds=1.0)  # type: ignore[arg-type]
    assert seconds is None
    assert how.startswith("unknown")


def test_every_rehearsal_has_the_adapter(clock: Clock, tmp_path: Path) -> None:
    suite = Suite(clock, {"one": {"one": 20}, "two": {"two": 3}})
    time_evaluation(suite, None, tmp_path / "run", seconds=60.0, adapter=tmp_path)  # type: ignore[arg-type]
    assert set(suite.adapters) == {tmp_path}
    assert len(suite.adapters) == len(suite.runs) > 3
