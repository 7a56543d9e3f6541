"""Cherry's warm-up: a few rows of every cluster, an ordinary training, scores of the model it gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nait.baselines.controls.random import LengthMatched
from nait.baselines.ifd import Ifd
from nait.baselines.shared.warmup import Warmup
from nait.core.addresses import address
from nait.core.contracts import content_of
from nait.core.errors import ConfigError
from nait.models.loading import LocalModel
from nait.models.prompts.templates import TextTemplate
from nait.signals.specs.activations import Embedding
from nait.stages.train import train_on
from nait.store import Store
from nait.tracking.trackers import Trackers
from nait.training.adapters.lora import LoraRecipe
from nait.training.recipes.fine_tune import FineTune
from tests.baselines.conftest import TEMPLATE, Open
from tests.families import pool

DIRECT = TextTemplate(prompt="A: ", system="", unconditional=True)
TRAINER = FineTune(method="lora", max_steps=2, learning_rate=0.05, lora=LoraRecipe(r=2, dropout=0.0))
WARMUP = Warmup(TRAINER, clusters=3, rows_each=2)


def tune(folder: Path, store: Path, trained: list[set[str]]) -> Any:
    """What the select stage gives an extractor, noting what was trained on."""

    def made(rows: Any, ids: Any, trainer: Any, seed: int) -> Any:
        trained.append(set(ids))
        model = LocalModel(str(folder), device="cpu", max_length=200)
        chosen = [row for row in rows.examples if row.id in set(ids)]
        return train_on(
            chosen, model=model, template=TEMPLATE, trainer=trainer, seed=seed, store=Store(store),
            tracker=Trackers([]),
        )  # fmt: skip

    return made


def twice(x: Any) -> tuple[Any, Any]:
    """The extractor whose texts are clustered, and the run's."""
    return x, x


def test_each_cluster_gives_a_few_rows(opened: Open) -> None:
    chosen = WARMUP.choose(pool(), *twice(opened()))
    assert len(chosen) == len(set(chosen))
    assert 2 <= len(chosen) <= 6
    assert chosen == WARMUP.choose(pool(), *twice(opened()))
    assert Warmup(TRAINER, clusters=3, rows_each=2, seed=1).choose(pool(), *twice(opened())) != chosen
    assert len(Warmup(TRAINER, clusters=100, rows_each=100).choose(pool(), *twice(opened()))) == len(pool())


def test_a_row_without_an_answer_is_not_trained_on(opened: Open) -> None:
    from nait.core.dataset.examples import Example, Turn, gather

    blank = Example("blank", (Turn("Do", " "),), row=98)
    cut = Example("cut", (Turn("long " * 60, "gone"),), row=99)
    rows = gather("rows", [*pool().examples, blank, cut])
    every = Warmup(TRAINER, clusters=3, rows_each=100)
    assert every.choose(rows, *twice(opened())) == list(pool().ids)


def test_prompts_are_clustered_not_answers(opened: Open) -> None:
    """Rows whose prompts are equal fall into one cluster, whatever their answers."""
    from nait.core.dataset.examples import Example, Turn, gather

    turns = [Turn("Count the trees", f"{'yes ' * i}no") for i in range(4)]
    turns += [Turn("??? 12345 +++", f"{'yes ' * i}no") for i in range(4)]
    rows = gather("two", [Example(f"id{i}", (turn,), row=i) for i, turn in enumerate(turns)])
    chosen = Warmup(TRAINER, clusters=2, rows_each=1).choose(rows, *twice(opened()))
    assert [int(key[2:]) // 4 for key in chosen] == [0, 1]


def test_clusters_are_those_of_the_published_code(opened: Open) -> None:
    """Cherry's code clusters with KMeans(n_clusters=100, random_state=0) of scikit-learn."""
    from sklearn.cluster import KMeans

    rows = pool(40)
    (h_nd,) = opened().measure(rows, [Embedding("mean", part="prompt")])
    labels = KMeans(n_clusters=5, random_state=0).fit_predict(np.asarray(h_nd))
    chosen = Warmup(TRAINER, clusters=5, rows_each=1).choose(rows, *twice(opened()))
    assert sorted(labels[rows.ids.index(key)] for key in chosen) == [0, 1, 2, 3, 4]
    everything = Warmup(TRAINER, clusters=5, rows_each=2).choose(rows, *twice(opened()))
    counts = np.bincount([labels[rows.ids.index(key)] for key in everything], minlength=5)
    assert counts.tolist() == np.minimum(np.bincount(labels, minlength=5), 2).tolist()


def test_equal_prompts_give_fewer_clusters_and_no_warning(opened: Open) -> None:
    from nait.core.dataset.examples import Example, Turn, gather

    rows = gather("equal", [Example(f"id{i}", (Turn("Count the trees", f"{i}"),), row=i) for i in range(6)])
    chosen = Warmup(TRAINER, clusters=3, rows_each=2).choose(rows, *twice(opened()))
    assert len(chosen) == 2


def test_the_version_of_the_warmup_is_part_of_the_scores_key(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, warm = (Ifd(TEMPLATE, DIRECT, warmup=warmup) for warmup in (None, WARMUP))
    assert content_of(plain) is None
    before = address(content_of(warm)), address(content_of(LengthMatched(warm)))
    monkeypatch.setattr(Warmup, "version", Warmup.version + 1)
    after = address(content_of(warm)), address(content_of(LengthMatched(warm)))
    assert all(old != new for old, new in zip(before, after, strict=True))
    assert content_of(plain) is None


def test_scores_are_those_of_the_tuned_model(opened: Open, folder: Path, tmp_path: Path) -> None:
    trained: list[set[str]] = []
    x = opened(tune=tune(folder, tmp_path, trained))
    plain, warm = (Ifd(TEMPLATE, DIRECT, highest=None, warmup=warmup) for warmup in (None, WARMUP))
    table = warm.score(pool(), [], x)
    assert set.union(*trained) == set(WARMUP.choose(pool(), x, x))
    assert not np.allclose(table.values, plain.score(pool(), [], x).values)
    (view, _, _), _ = warm.requests(pool(), [], x)
    assert view.model_fingerprint != x.model_fingerprint


def test_without_a_way_to_train_the_warmup_is_refused(opened: Open) -> None:
    with pytest.raises(ConfigError, match="cannot train"):
        Ifd(TEMPLATE, DIRECT, warmup=WARMUP).score(pool(), [], opened())


def test_wrong_numbers_are_named() -> None:
    with pytest.raises(ConfigError, match=r"warmup\.clusters"):
        Warmup(TRAINER, clusters=0)
