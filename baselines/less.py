"""LESS (Xia et al., ICML 2024, arXiv 2402.04333): gradient influence of candidate rows on reference rows.

    influence(x, z) = sum over c of w_c cos(u_c(x), g_c(z)) / sum over c of w_c

- c: a checkpoint of a short LoRA warm-up, one after each epoch; w_c: the mean learning rate of that epoch.
- g_c(z): the gradient of the answer loss of reference row z.
- u_c(x): the step that Adam would take on the gradient of the answer loss of candidate row x.

Shapes: N rows, R reference rows, S numbers in a projected gradient.

A target's score is the mean over the reference rows of a subtask, then the maximum over subtasks. The published code
projects gradients at random to 8192 numbers; without a projection the cosines are exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from nait.core.addresses import address, digest_file, unit_interval
from nait.core.contracts import Extractor, Trainer
from nait.core.dataset.examples import Pool, Target
from nait.core.dataset.token_table import trainable
from nait.core.errors import ConfigError, DataError, StoreError
from nait.core.inputs.checks import check_choice, check_limit, check_number
from nait.core.ranking.score_table import ScoreTable
from nait.models.prompts.templates import Template
from nait.signals.specs.gradients import (
    PLAIN,
    VARIANTS,
    Gradients,
    Moments,
    Projection,
    Update,
    Variant,
    find_moments,
    influences_of,
)
from nait.store import read_json
from nait.training.adapters.adapted_models import AdaptedModel
from nait.training.adapters.adapter_files import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from nait.training.checkpoints import EPOCHS

Floats = npt.NDArray[np.floating[Any]]
Reduce = Literal["subtasks", "mean", "max"]
REDUCTIONS: tuple[Reduce, ...] = ("subtasks", "mean", "max")
PROJECTIONS = ("none", "rademacher")
MOMENTS = "adam.safetensors"
BLOCK_ROWS = 8192


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint of an earlier warm-up: an adapter's folder, a file of Adam's moments, a weight.

    `moments=null` is `adam.safetensors` in the folder; Adam's constants are in `epoch.json` next to that file.
    """

    adapter: str
    moments: str | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class _Resolved:
    """A checkpoint with its files: its folder, its file of moments, the digest of its content, its weight."""

    folder: Path
    moments: Path
    content: str
    weight: float


@dataclass(frozen=True)
class Less:
    """Influence of each row on each target's reference rows, from LoRA gradients at the checkpoints of a warm-up.

    - `warmup`: the recipe of the warm-up, which saves each epoch with Adam's moments. It trains on a share
      `warmup_ratio` of the pool, drawn by id and `seed`.
    - `checkpoints`: checkpoints of an earlier warm-up, which replace `warmup`.
    - `adam`: the update's formula: less (as in the published code), eps_outside, no_momentum, sgd.
    - `projection`: none (exact; each new target needs a pass over the pool), rademacher (the pool's projected
      gradients are stored, and new targets need no pass).
    - `reduce`: subtasks (mean within a subtask, maximum over subtasks; rows without a subtask form one), mean, max.
    - `template`, `max_length` (null: the run's): define the texts whose gradients are taken.
    """

    version: ClassVar[int] = 2  # since 2, gradients of float16 models are not rounded to 0

    warmup: Trainer | None = None
    warmup_ratio: float = 0.05
    seed: int = 0
    adam: Variant = "less"
    projection: Literal["none", "rademacher"] = "none"
    projection_dim: int = 8192
    reduce: Reduce = "subtasks"
    checkpoints: Sequence[Checkpoint] | None = None
    template: Template | None = None
    max_length: int | None = None

    def __post_init__(self) -> None:
        check_limit(self.max_length)
        for key, value, known in (
            ("adam", self.adam, VARIANTS),
            ("projection", self.projection, PROJECTIONS),
            ("reduce", self.reduce, REDUCTIONS),
        ):
            check_choice(f"selector.{key}", value, known)
        check_number("selector.warmup_ratio", self.warmup_ratio, "(0, 1]", fix="0.05 is usual.")
        _ = self._projection
        if self.checkpoints is None:
            _check_warmup(self.warmup)
        elif not self.checkpoints or min(point.weight for point in self.checkpoints) <= 0:
            raise ConfigError(
                "it must hold one or more checkpoints, each with a weight above 0",
                where="selector.checkpoints",
                fix="Set it to null to train a warm-up in this run.",
            )

    def content(self) -> list[str]:
        """Digests of the given checkpoints' files, which their paths do not identify, and Adam's constants there."""
        return [
            f"{point.content} {_moments_content(point.moments) if self.adam != 'sgd' else ''}"
            for point in self._given_checkpoints()
        ]

    @property
    def _projection(self) -> Projection | None:
        return Projection(self.projection_dim, self.seed) if self.projection == "rademacher" else None

    def check(self, targets: Sequence[Target]) -> None:
        """Raises: DataError for a target without reference rows, before a model is opened."""
        if not targets:
            raise DataError("LESS needs a target", where="target", fix="Set target=file target.path=FILE.")
        for target in targets:
            if not target.examples:
                raise DataError(
                    "LESS needs its reference rows, and there are none",
                    where=f"target '{target.name}'",
                    fix="Give the rows themselves.",
                )

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        """Each row's influence on each target; unit: a cosine."""
        self.check(targets)
        view = self._view(targets, extractor)
        points = self._checkpoints(pool, extractor)
        columns = [
            reduced(influence_nr, [example.subtask for example in target.examples], self.reduce)
            for influence_nr, target in zip(
                self._influences(pool, targets, view, points), targets, strict=True
            )
        ]
        return ScoreTable(
            ids=pool.ids,
            targets=tuple(target.name for target in targets),
            values=np.stack(columns, axis=1),
            unit="cosine",
            definition=f"LESS: influence by {self.adam} gradients over {len(points)} checkpoints",
            diagnostics={
                "checkpoints": {point.content: round(point.weight, 6) for point in points},
                "subtasks": {t.name: len({example.subtask for example in t.examples}) for t in targets},
            },
        )

    def influences(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> list[Floats]:
        """The influence of each row on each reference row, [N, R] for each target."""
        view = self._view(targets, extractor)
        return self._influences(pool, targets, view, self._checkpoints(pool, extractor))

    def _view(self, targets: Sequence[Target], extractor: Extractor) -> Extractor:
        """The extractor of the texts whose gradients are taken; checks that every reference row has an answer."""
        view = extractor.under(template=self.template, max_length=self.max_length)
        for target in targets:
            _check_answers(target, view)
        return view

    def _influences(
        self, pool: Pool, targets: Sequence[Target], view: Extractor, points: Sequence[_Resolved]
    ) -> list[Floats]:
        totals: list[Floats] = [np.zeros((len(pool), len(target))) for target in targets]
        for point in points:
            if point.weight == 0.0:
                continue
            at = view.on(AdaptedModel(view.model, point.folder, point.content))
            update = Update(self.adam, find_moments(point.moments) if self.adam != "sgd" else None)
            for total, cosines in zip(totals, self._cosines(pool, targets, at, update), strict=True):
                total += point.weight * np.asarray(cosines, dtype=np.float64)
        return totals

    def _cosines(
        self, pool: Pool, targets: Sequence[Target], at: Extractor, update: Update
    ) -> Sequence[Floats]:
        """Cosines [N, R] for each target, at one checkpoint."""
        projection = self._projection
        references = [at.measure(target, [Gradients(PLAIN, projection)])[0] for target in targets]
        if projection is None:
            return at.measure(pool, [influences_of(each, update) for each in references])
        (features,) = at.measure(pool, [Gradients(update, projection)])
        return [_products(features, each) for each in references]

    def _checkpoints(self, pool: Pool, extractor: Extractor) -> list[_Resolved]:
        """The checkpoints, with weights that sum to 1; equal weights if all are 0, as after a single step."""
        points = self._given_checkpoints() if self.checkpoints is not None else self._warm_up(pool, extractor)
        total = sum(point.weight for point in points)
        return [replace(p, weight=p.weight / total if total else 1.0 / len(points)) for p in points]

    def _warm_up(self, pool: Pool, extractor: Extractor) -> list[_Resolved]:
        """The epochs of a warm-up on a random share of the pool, from the store if it has them."""
        assert self.warmup is not None
        made = extractor.fine_tune(pool, self.drawn(pool, extractor), self.warmup, seed=self.seed)
        folders = sorted((made.path / EPOCHS).iterdir(), key=lambda folder: int(folder.name))
        return [
            _Resolved(
                folder,
                folder / MOMENTS,
                f"{made.address}/{EPOCHS}/{folder.name}",
                float(read_json(folder / "epoch.json")["learning_rate"]),
            )
            for folder in folders
        ]

    def drawn(self, pool: Pool, extractor: Extractor) -> list[str]:
        """The ids of the warm-up's rows, drawn by id from the rows that have an answer to train on."""
        able_n = trainable(pool, extractor.tokens(pool))
        able = [key for key, can in zip(pool.ids, able_n, strict=True) if can]
        if not able:
            raise DataError("no row has an answer to train on", where="data", fix="Raise model.max_length.")
        count = min(len(able), max(1, round(self.warmup_ratio * len(pool))))
        return sorted(sorted(able, key=lambda key: unit_interval("less warm-up", self.seed, key))[:count])

    def _given_checkpoints(self) -> list[_Resolved]:
        """The given checkpoints, identified by their files' bytes."""
        points = []
        for given in self.checkpoints or ():
            folder = Path(given.adapter).expanduser()
            files = [folder / ADAPTER_CONFIG, folder / ADAPTER_WEIGHTS]
            for file in files:
                if not file.is_file():
                    raise StoreError(
                        f"there is no {file.name}",
                        where=f"selector.checkpoints: {given.adapter}",
                        fix="Give the folder of a peft adapter.",
                    )
            moments = Path(given.moments).expanduser() if given.moments else folder / MOMENTS
            points.append(_Resolved(folder, moments, address([digest_file(f) for f in files]), given.weight))
        return points


def _moments_content(path: Path) -> str:
    """The digest of a file of moments, with Adam's constants from its `epoch.json` if they are not the usual ones."""
    found, usual = find_moments(path), Moments(path, "")
    own, default = ((one.beta1, one.beta2, one.eps) for one in (found, usual))
    return found.digest if own == default else f"{found.digest} {own}"


def _check_warmup(warmup: Trainer | None) -> None:
    recipe = warmup.recipe if warmup else None
    wanted = {"method": "lora", "checkpoints": "epoch"}
    for key, value in wanted.items():
        if recipe is None or recipe.get(key) != value:
            raise ConfigError(
                "LESS needs a LoRA with each epoch's checkpoint",
                where=f"selector.warmup.{key}" if recipe else "selector.warmup",
                fix=f"Set selector.warmup.{key}={value}, or give selector.checkpoints.",
            )


def _check_answers(target: Target, view: Extractor) -> None:
    """Raises: DataError if a reference row has no answer token, and so no gradient."""
    blank = [x.id for x, n in zip(target.examples, view.tokens(target).answer_tokens, strict=True) if not n]
    if blank:
        raise DataError(
            f"{len(blank)} of {len(target)} rows have no answer token (the first is '{blank[0]}')",
            where=f"target '{target.name}'",
            fix="Raise selector.max_length, or leave them out.",
        )


def reduced(influence_nr: Floats, subtasks: Sequence[str], how: Reduce = "subtasks") -> Floats:
    """Scores [N] from influences [N, R] on reference rows of these subtasks."""
    if how == "max":
        return np.asarray(influence_nr.max(axis=1))
    groups = subtasks if how == "subtasks" else [""] * len(subtasks)
    return np.asarray(np.max(np.stack(list(_means(influence_nr, groups))), axis=0))


def _means(influence_nr: Floats, subtasks: Sequence[str]) -> Iterator[Floats]:
    names = np.asarray(subtasks)
    for name in sorted(set(subtasks)):
        yield influence_nr[:, names == name].mean(axis=1)


def _products(features_ns: Floats, references_rs: Floats) -> Floats:
    """Inner products [N, R] of features [N, S] and references [R, S], in blocks of memory-mapped features."""
    blocks = [
        np.asarray(features_ns[at : at + BLOCK_ROWS]) @ np.asarray(references_rs).T
        for at in range(0, len(features_ns), BLOCK_ROWS)
    ]
    return np.concatenate(blocks)
