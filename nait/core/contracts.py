"""Contracts: the protocols that selectors, trainers, evaluators, trackers and reporters implement."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from nait.core.dataset.contamination import EvaluationText
from nait.core.dataset.examples import Pool, Target
from nait.core.dataset.token_table import TokenTable
from nait.core.dataset.traits import Traits
from nait.core.errors import ConfigError
from nait.core.ranking.orders import Ranking
from nait.core.ranking.score_table import Contributions, ScoreTable
from nait.core.statistics.results import Evaluation


class Order(Protocol):
    """A pure function from a score table to its eligible rows, best first."""

    def __call__(self, table: ScoreTable) -> Ranking: ...


class Budget(Protocol):
    """A pure function that returns the number of rows to select. `answer_tokens` [N] covers the whole pool.

    `label` names the budget in tables, such as "10%" or "500 rows". Different budgets need different labels: a
    leaderboard groups runs by label.
    """

    @property
    def label(self) -> str: ...

    def __call__(self, ranking: Ranking, answer_tokens: npt.NDArray[np.int64]) -> int: ...


class Extractor(Protocol):
    """All forward and backward passes for selection, cached in the store.

    `measure` computes all missing signals in one pass over `examples` and returns arrays in the order of the
    request; their first axis is the examples. `derive` stores what a scorer computes from them. `under` is a view
    with another encoding of the same examples, `on` a view with another model, such as the result of `fine_tune`.
    """

    @property
    def model(self) -> Model: ...

    @property
    def model_fingerprint(self) -> str: ...

    def identity(self, examples: Pool | Target) -> Mapping[str, Any]: ...

    def tokens(self, examples: Pool | Target) -> TokenTable: ...

    def prompt_lengths(self, examples: Pool | Target) -> npt.NDArray[np.int64]: ...

    def lengths(self, examples: Pool | Target) -> npt.NDArray[np.int64]: ...

    def measure(self, examples: Pool | Target, signals: Sequence[Any]) -> list[npt.NDArray[Any]]: ...

    def derive(
        self,
        kind: str,
        key: Mapping[str, Any],
        compute: Callable[[], tuple[Mapping[str, Any], Mapping[str, Any]]],
    ) -> tuple[dict[str, npt.NDArray[Any]], Any]: ...

    def under(
        self, *, template: Any = None, max_length: int | None = None, behind: Any = None, allowance: int = 0,
        end_token: bool = False,
    ) -> Extractor: ...  # fmt: skip

    def on(self, model: Model) -> Extractor: ...

    def fine_tune(self, pool: Pool, ids: Collection[str], trainer: Trainer, *, seed: int) -> Any: ...

    def tokenizer(self) -> Any: ...


class Scorer(Protocol):
    """A selection method: rates every row of the pool for every target.

    Only `score` is required. These members are optional, each with a default:

    - `version: int`, 1 by default. Increase it when the mathematics changes, so that stored scores are recomputed.
    - `content() -> Any`, None by default: the content of files that the config names, as JSON, so that scores are
      recomputed when a file changes. None: the config alone determines the scores.
    - `check(targets) -> None`, accepts any targets by default. Raises a NaitError for unsupported targets. A job
      calls it before it hashes or opens a model.

    A scorer that selects every eligible row has a class attribute `exhaustive = True`; one that selects no rows (the
    base model) has `selects = False`.

    `version_of`, `content_of` and `check_targets` read these members. A scorer that wraps another one forwards
    them.
    """

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable: ...


def version_of(scorer: Scorer) -> int:
    """The version of a scorer's mathematics. Raises: ConfigError unless it is a whole number above 0."""
    version = getattr(scorer, "version", 1)
    if type(version) is not int or version < 1:
        raise ConfigError(
            f"{type(scorer).__name__}.version is {version!r}",
            where="selector",
            fix="Make it a whole number, 1 or more: it counts the changes of the mathematics.",
        )
    return version


def content_of(scorer: Scorer) -> Any:
    """The content of files that a scorer's config names; None when the config alone determines the scores."""
    content = getattr(scorer, "content", None)
    return None if content is None else content()


def check_targets(scorer: Scorer, targets: Sequence[Target]) -> None:
    """Check that the scorer supports these targets, without a model. Raises: NaitError from the scorer's `check`."""
    check = getattr(scorer, "check", None)
    if check is not None:
        check(targets)


@runtime_checkable
class Requests(Protocol):
    """A scorer that declares what it measures of the pool, so that several scorers can share a pass.

    A request is an extractor (a view, when the scorer uses another encoding), the rows and the signals.
    """

    def requests(
        self, pool: Pool, targets: Sequence[Target], extractor: Extractor
    ) -> Sequence[tuple[Extractor, Pool, Sequence[Any]]]: ...


Files = Sequence[Path] | Mapping[str, Path]
"""Files that keep their names, or a mapping of destination path to file."""


@runtime_checkable
class Layered(Protocol):
    """A scorer whose scores are sums over layers, with the contribution of each layer."""

    def contributions(
        self,
        pool: Pool,
        targets: Sequence[Target],
        extractor: Extractor,
        *,
        rows: npt.NDArray[np.int64],
        among: npt.NDArray[np.bool_],
    ) -> Iterable[Contributions]:
        """For each score column, the contributions for `rows` [n] and their means over the rows of `among` [N]."""
        ...


class Describer(Protocol):
    """Describes a pool's rows by their texts. `key` identifies the description: equal keys give equal traits."""

    def key(self) -> Mapping[str, Any]: ...

    def read(self, pool: Pool) -> Traits: ...


class Tracker(Protocol):
    """A log of a run. No call may raise because the tracker is unreachable, slow or refuses."""

    def start(self, name: str, config: Mapping[str, Any], *, group: str, tags: Sequence[str]) -> None: ...

    def log(self, metrics: Mapping[str, float], *, phase: str, step: int | None = None) -> None: ...

    def summary(self, values: Mapping[str, Any]) -> None: ...

    def histogram(self, name: str, values: npt.NDArray[Any]) -> None: ...

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None: ...

    def page(self, name: str, path: Path) -> None: ...

    def artifact(self, name: str, kind: str, files: Files, metadata: Mapping[str, Any]) -> None: ...

    def finish(self, *, failed: bool = False) -> None: ...


class Model(Protocol):
    """A model that is loaded only when a computation needs it.

    `load` returns a new network (in eval mode, on its device, in its dtype) and tokenizer at each call.
    `fingerprint` identifies the weights, the config and the tokenizer without loading them.
    """

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def max_length(self) -> int: ...

    def load(self) -> tuple[Any, Any]: ...

    def load_network(self) -> Any: ...

    def load_tokenizer(self) -> Any: ...

    def vocabulary(self) -> int | None: ...


@runtime_checkable
class Splittable(Protocol):
    """A model whose layers may be split over the ranks of a launcher (tensor parallelism). Rank 0 measures with it.

    `follow` serves another rank's part of each forward pass until rank 0 calls `dismiss`.
    """

    @property
    def tensor_parallel(self) -> bool: ...

    def follow(self) -> None: ...

    def dismiss(self) -> None: ...


class Trainer(Protocol):
    """A fine-tuning recipe. `recipe` identifies the result; `train` writes an adapter or a model into `folder`."""

    @property
    def recipe(self) -> Mapping[str, Any] | None:
        """None: no training; the base model is evaluated."""
        ...

    def train(
        self, model: Model, rows: TokenTable, folder: Path, *, seed: int, tracker: Tracker
    ) -> Mapping[str, Any]: ...


class Evaluator(Protocol):
    """A benchmark suite. `key` identifies the results, task definitions included."""

    def check(self) -> None:
        """Check that the suite can run, before any model is opened. Raises: NaitError."""
        ...

    def key(self) -> Mapping[str, Any]: ...

    def items(self) -> Mapping[str, Sequence[EvaluationText]]:
        """Task -> the texts of all its test items, whatever the limit, for the contamination check."""
        ...

    def evaluate(self, model: Model, adapter: Path | None, *, folder: Path) -> Evaluation: ...


@runtime_checkable
class Prompting(Protocol):
    """A suite that can render a prompt of each task with only a model's tokenizer, before training."""

    def check_prompts(self, model: Model) -> None:
        """Check that the model's chat template accepts each task's prompt. Raises: NaitError."""
        ...


@runtime_checkable
class Sizes(Protocol):
    """A suite that may know the number of items of its tasks without reading them."""

    def sizes(self) -> Mapping[str, int]:
        """Task -> its number of items; {} when that of any task is unknown."""
        ...


class Reporter(Protocol):
    """Writes a leaderboard of the store's runs (None: all) into `folder` and returns the text to print."""

    def report(self, store: Any, runs: Sequence[str] | None, folder: Path) -> str: ...
