"""A network whose logits are not numbers is an error: of NaN, the first option would be the answer."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nait.core.errors import ModelError
from nait.eval.harness import LmEval
from nait.eval.language_model.requests.undefined_answers import check_rated
from nait.eval.language_model.shared_prefix import _greedy, _sampled
from nait.models.loading import LocalModel
from tests.families import network, tokenizer

TASK = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
doc_to_text: question
{scoring}
metric_list: [{{metric: {metric}, aggregation: mean, higher_is_better: true}}]
"""
SCORING = {
    "chooses": ("acc", "output_type: multiple_choice\ndoc_to_choice: [a, b]\ndoc_to_target: 0"),
    "writes": (
        "exact_match",
        "output_type: generate_until\ndoc_to_target: x\ngeneration_kwargs: {until: [z], max_gen_toks: 4}",
    ),
}


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps({"question": f"Is it {word}?"}) + "\n" for word in ("new", "old")))
    for name, (metric, scoring) in SCORING.items():
        text = TASK.format(name=name, data=data, scoring=scoring, metric=metric)
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


@pytest.fixture(scope="module")
def overflowing(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    """A model with finite weights whose logits overflow."""
    folder, made = tmp_path_factory.mktemp("model"), network("llama")
    with torch.no_grad():
        made.lm_head.weight.copy_(made.lm_head.weight.sign() * 3e38)
    made.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return LocalModel(str(folder), device="cpu", max_length=128)


@pytest.mark.parametrize("backend", ["shared_prefix", "hf"])
@pytest.mark.parametrize("name", SCORING)
def test_logits_that_are_not_numbers_are_an_error(
    name: str, backend: Any, overflowing: LocalModel, tasks: Path, tmp_path: Path
) -> None:
    evaluation = LmEval([name], include=[str(tasks)], backend=backend)
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelError, match=r"not a number \(NaN\): the network overflows"):
        evaluation.evaluate(overflowing, None, folder=tmp_path / "out")


def test_one_answer_that_is_not_a_number_is_an_error() -> None:
    one, other = (SimpleNamespace(task_name=name) for name in ("sums", "letters"))
    check_rated([one, other], [(-1.5, True), (-math.inf, False)])
    check_rated([one], ["a text"])
    with pytest.raises(ModelError, match=r"1 of 2 log-likelihoods \(letters\) are not a number"):
        check_rated([one, other], [(-1.5, True), (math.nan, False)])
    assert _greedy(torch.tensor([[0.0, 2.0, 1.0], [5.0, -math.inf, 1.0]]), []) == [1, 0]
    for broken in (math.nan, math.inf):
        for pick in (_greedy, _sampled(lambda _, logits: logits, 0)):
            with pytest.raises(ModelError, match="logits are infinite or not a number"):
                pick(torch.tensor([[0.0, 2.0, 1.0], [5.0, broken, 1.0]]), [(0, 0), (1, 0)])
