"""An interrupted evaluation keeps its finished tasks; the next one answers the rest and gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lm_eval.evaluator import evaluate as asked

from nait.core.statistics.results import Evaluation
from nait.eval.harness import LmEval
from nait.eval.language_model.shared_prefix import SharedPrefixLM
from nait.models.loading import LocalModel
from nait.stages.evaluate import ANSWERS, evaluate
from nait.store import Artifact, Store
from tests.clocks import later_clock

Make = Callable[..., LmEval]
DRAWN = "do_sample: true, temperature: 0.9"


@pytest.fixture
def model(model_folder: Path) -> LocalModel:
    return LocalModel(str(model_folder), max_length=96)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tasks whose requests the language model answers. It is interrupted at the task `calls[0]`, if given."""
    seen: list[str] = []

    def watched(method: Any) -> Any:
        def answer(self: Any, requests: Any, disable_tqdm: bool = False) -> Any:
            task = requests[0].task_name
            if seen[:1] == [f"stop at {task}"]:
                raise KeyboardInterrupt
            seen.append(task)
            return method(self, requests, disable_tqdm=disable_tqdm)

        return answer

    for name in ("loglikelihood", "generate_until"):
        monkeypatch.setattr(SharedPrefixLM, name, watched(getattr(SharedPrefixLM, name)))
    return seen


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.parquet")}


@pytest.fixture
def whole(evaluator: Make, model: LocalModel, task_folder: Path, tmp_path: Path) -> tuple[LmEval, Artifact]:
    """The suite, whose answers are partly drawn at random, and its evaluation without an interruption."""
    sums = task_folder / "sums.yaml"
    sums.write_text(sums.read_text().replace("do_sample: false", DRAWN))
    suite = evaluator(max_gen_toks=12)
    return suite, evaluate(model, None, evaluator=suite, store=Store(tmp_path / "whole"))


@pytest.mark.parametrize("stop", ["toy_small", "toy_large", "toy_sums"])
def test_an_interrupted_evaluation_resumes_after_its_finished_tasks(
    stop: str, whole: tuple[LmEval, Artifact], model: LocalModel, calls: list[str], tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    suite, made = whole
    store = Store(tmp_path / "store")
    calls[:] = [f"stop at {stop}"]
    with pytest.raises(KeyboardInterrupt):
        evaluate(model, None, evaluator=suite, store=store)
    finished = calls[1:]
    assert f"the answers of {len(finished)} of 3 tasks are complete and kept" in caplog.text
    calls.clear()
    resumed = evaluate(model, None, evaluator=suite, store=store)
    assert sorted([*finished, *calls]) == ["toy_large", "toy_small", "toy_sums"]
    assert files(resumed.path) == files(made.path)
    assert (resumed.path / "results.json").read_bytes() == (made.path / "results.json").read_bytes()
    assert resumed.manifest["warnings"] == made.manifest["warnings"], (
        "counts of unfinished answers are kept too"
    )
    assert not list(resumed.path.glob(ANSWERS))
    assert (resumed.manifest.get("earlier_seconds", 0.0) > 0) == bool(finished)


def test_the_cost_of_a_killed_attempt_does_not_contain_making_the_requests(
    evaluator: Make, model: LocalModel, calls: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = later_clock(monkeypatch)

    def slow(**given: Any) -> Any:
        later(1000)
        return asked(**given)

    monkeypatch.setattr("lm_eval.evaluator.evaluate", slow)
    suite, store = evaluator(max_gen_toks=12), Store(tmp_path / "store")
    calls[:] = ["stop at toy_large"]
    with pytest.raises(KeyboardInterrupt):
        evaluate(model, None, evaluator=suite, store=store)
    calls.clear()
    assert 0 < evaluate(model, None, evaluator=suite, store=store).manifest["earlier_seconds"] < 1000


def test_damaged_answers_are_set_aside_and_asked_again(
    whole: tuple[LmEval, Artifact], model: LocalModel, calls: list[str], tmp_path: Path
) -> None:
    suite, made = whole
    store = Store(tmp_path / "store")
    calls[:] = ["stop at toy_large"]
    with pytest.raises(KeyboardInterrupt):
        evaluate(model, None, evaluator=suite, store=store)
    (kept, *_) = sorted(store.root.rglob(ANSWERS))
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)
    calls.clear()
    resumed = evaluate(model, None, evaluator=suite, store=store)
    assert len(calls) == 2, "the damaged task and the interrupted one"
    assert files(resumed.path) == files(made.path)
    assert [one.name for one in store.root.rglob("*.damaged/*")] == [kept.name]


def test_an_error_keeps_the_finished_tasks_too(
    whole: tuple[LmEval, Artifact], model: LocalModel, calls: list[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    suite, made = whole
    store = Store(tmp_path / "store")

    def fail(*_: object) -> Evaluation:
        raise RuntimeError("no space")

    with monkeypatch.context() as patched:
        patched.setattr("nait.eval.harness.write_samples", fail)
        with pytest.raises(RuntimeError, match="no space"):
            evaluate(model, None, evaluator=suite, store=store)
    calls.clear()
    assert files(evaluate(model, None, evaluator=suite, store=store).path) == files(made.path)
    assert calls == []


def test_a_job_beside_others_shows_no_bar_of_its_own(
    evaluator: Make, model: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    evaluate(model, None, evaluator=evaluator(), store=Store(tmp_path / "alone"))
    assert "requests: 100%" in capsys.readouterr().err
    monkeypatch.setenv("TQDM_DISABLE", "1")
    evaluate(model, None, evaluator=evaluator(), store=Store(tmp_path / "beside"))
    assert "requests:" not in capsys.readouterr().err
