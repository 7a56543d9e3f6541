"""The harness's own tasks under their own names, on a real small model, from a local mirror."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nait.eval.harness import LmEval
from nait.models.loading import LocalModel

Shared = Callable[[str], Path]


def test_stock_tasks_run_offline(shared: Shared, tmp_path: Path) -> None:
    hub, model = str(shared("data/hub")), str(shared("models/stories260K"))
    names = ["gsm8k", "mmlu_anatomy", "bbh_cot_fewshot_boolean_expressions"]
    suite = LmEval(names, limit=2, max_gen_toks=16, mirror=hub, num_fewshot={"mmlu_anatomy": 1})
    suite.check()
    done = suite.evaluate(LocalModel(model, device="cpu"), None, folder=tmp_path)
    shots = {r.task: (r.n, r.num_fewshot) for r in done.results}
    assert shots == {names[0]: (2, 5), names[1]: (2, 1), names[2]: (2, 3)}
    assert {r.filter for r in done.results if r.task == "gsm8k"} == {"strict-match", "flexible-extract"}
    assert len(done.items) == 8


def test_a_mirror_with_some_of_bbh_says_which_are_missing(shared: Shared) -> None:
    suite = LmEval(["bbh_cot_fewshot"], mirror=str(shared("data/hub")), allow_partial=True).suite
    (group,) = suite.groups
    assert len(group.tasks) + len(group.missing) == 27
    assert "bbh_cot_fewshot_hyperbaton" in group.missing == suite.missing
