"""NAIT against numbers made with published code and, independently, in float64 (../shared/parity)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nait.models.loading import LocalModel
from nait.models.prompts.templates import TextTemplate
from nait.neurons.directions import Directions
from nait.neurons.scorer import Nait
from nait.signals.extractor import StoredExtractor
from nait.signals.passes.options import Engine
from nait.signals.specs.activations import project_on
from nait.store import Store
from tests.conftest import read_pool, read_target


@pytest.fixture(scope="module")
def parity(shared: Any) -> Path:
    return shared("parity")


@pytest.fixture(scope="module")
def expected(parity: Path) -> dict[str, Any]:
    return json.loads((parity / "expected.json").read_text())["methods"]["nait"]


@pytest.fixture(scope="module")
def extractor(parity: Path, tmp_path_factory: pytest.TempPathFactory) -> StoredExtractor:
    model = LocalModel(str(parity / "model"), dtype="float32", device="cpu", max_length=256)
    text = json.loads((parity / "expected.json").read_text())["methods"]["nait"]["text"]
    template = TextTemplate(
        prompt=text["without_input"].removesuffix("{output}"),
        prompt_with_input=text["with_input"].removesuffix("{output}"),
    )
    return StoredExtractor(
        model, Store(tmp_path_factory.mktemp("store")), template, engine=Engine(progress=False)
    )


@pytest.fixture(scope="module")
def pool(parity: Path) -> Any:
    return read_pool(parity / "pool.jsonl", "pool")


def test_token_ids_are_the_reference_ones(parity: Path, extractor: StoredExtractor, pool: Any) -> None:
    check = json.loads((parity / "expected.json").read_text())["tokenizer_check"]
    table = extractor.tokens(pool)
    for place, key in enumerate(pool.ids):
        ids, _ = table.row(place)
        assert len(ids) == check["lengths"][key]
        if key in check["rows"]:
            assert ids.tolist() == check["rows"][key]
    assert [key for key, cut in zip(pool.ids, table.truncated, strict=True) if cut] == check["truncated"]


@pytest.mark.parametrize("site", ["residual", "mlp"])
@pytest.mark.parametrize("name", ["target_a", "target_b"])
@pytest.mark.parametrize("feature", ["delta", "mean", "last"])
def test_projections_and_totals(
    site: Any, name: str, feature: Any, parity: Path, expected: Any, extractor: StoredExtractor, pool: Any
) -> None:
    target = read_target(parity / f"{name}.jsonl", name)
    scorer = Nait(site=site, feature=feature)
    reference = expected["targets"][name][site]
    ((_, direction),) = scorer.directions(pool, [target], extractor)
    first = scorer.reference_reading.first_layer
    skip = 1 - first
    wanted = np.array(reference["direction"])
    np.testing.assert_allclose(direction.vectors[skip:, 0], wanted, atol=2e-5)
    np.testing.assert_allclose(
        direction.explained_variance[skip:, 0], reference["explained_variance_ratio"], atol=1e-5
    )
    np.testing.assert_allclose(direction.sign_margin[skip:], np.abs(reference["sign_margin"]), atol=1e-5)

    per_layer = np.array([reference[feature][key]["per_layer"] for key in pool.ids])
    p_ncl = _projections(scorer, direction, pool, extractor)[:, 0, skip:]
    assert np.max(np.abs(p_ncl - per_layer) / np.abs(per_layer).max(axis=0)) < 2e-5

    table = scorer.score(pool, [target], extractor)
    total = np.array([reference[feature][key]["total"] for key in pool.ids])
    assert np.max(np.abs(table.values[:, 0] - total)) / np.abs(total).max() < 2e-5
    assert np.argsort(-table.values[:, 0]).tolist() == np.argsort(-total).tolist()


def _projections(scorer: Nait, direction: Directions, pool: Any, extractor: StoredExtractor) -> Any:
    signal = project_on(scorer.candidate_reading, direction.vectors.transpose(1, 0, 2))
    return extractor.measure(pool, [signal])[0]
