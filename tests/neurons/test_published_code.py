"""The published code's own choices, reached by keys alone (../shared/parity, `nait_published_code`).

It sums the embeddings and every block but the last, ends the pool's texts, but not the references', with the
end token, and writes references without their input.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nait.models.loading import LocalModel
from nait.models.prompts.templates import TextTemplate
from nait.neurons.scorer import Nait
from nait.signals.extractor import StoredExtractor
from nait.signals.passes.options import Engine
from nait.store import Store
from tests.conftest import read_pool, read_target


@pytest.mark.parametrize("name", ["target_a", "target_b"])
def test_totals_are_those_of_the_published_code(
    name: str, shared: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shared("parity")
    expected = json.loads((folder / "expected.json").read_text())["methods"]["nait_published_code"]
    text, wanted = expected["text"], expected["targets"][name]["rows"]
    prompt = text["pool_prompt_without_input"]
    x = StoredExtractor(
        LocalModel(str(folder / "model"), dtype="float32", device="cpu", max_length=256),
        Store(tmp_path),
        TextTemplate(prompt, text["pool_prompt_with_input"], join="tokens", eos="always"),
        reference_template=TextTemplate(prompt, eos="never"),
        engine=Engine(progress=False),
    )
    pool = read_pool(folder / "pool.jsonl", "pool")
    layers = list(range(len(expected["targets"][name]["direction"])))
    table = Nait(layers=layers).score(pool, [read_target(folder / f"{name}.jsonl", name)], x)
    totals = np.array([wanted[key]["total"] for key in pool.ids])
    tolerance = expected["tolerance"]["total"]["abs_over_max"]
    assert np.abs(table.values[:, 0] - totals).max() / np.abs(totals).max() < tolerance
