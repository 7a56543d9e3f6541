"""The contracts the wings fulfil. Each is a Protocol: a class that fits is one, wherever it lives."""

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
    """A pure function: a score table in, its eligible rows out, best first."""

    def __call__(self, table: ScoreTable) -> Ranking: ...


class Budget(Protocol):
    """A pure function: how many of the ranked rows. `answer_tokens` [N] covers the whole pool.

    `label` is what tables call it, such as "10%" or "500 rows". Different budgets have different labels: a
    leaderboard puts runs of one label into one group.
    """

    @property
    def label(self) -> str: ...

    def __call__(self, ranking: Ranking, answer_tokens: npt.NDArray[np.int64]) -> int: ...


class Extractor(Protocol):
    """Every forward and backward pass made for selection, answered from the store where it can be.

    `measure` runs all missing signals in one pass over `examples`; results come back in the order of the
    request, as arrays whose first axis is the examples'. `derive` keeps what a scorer computes from them.
    `under` is a view on other texts of the same examples, `on` on another model, such as one that `fine_tune`
    made.
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

    `score` is all that a class must have. Three more members are optional, each with a default:

    - `version: int`, 1 by default. Raise it when the mathematics changes, so that stored scores are made anew.
    - `content() -> Any`, None by default: what the files hold that the config names, as JSON. Other content under the
      same names gives other scores. None: the config says all.
    - `check(targets) -> None`, by default accepts any targets. Raises a NaitError for targets that the method cannot
      score for. A job calls it before it hashes or opens a model.

    A scorer that takes every eligible row has a class attribute `exhaustive` of True, the base model `selects` of
    False.

    `version_of`, `content_of` and `check_targets` read them. A scorer that wraps another one passes them on.
    """

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable: ...


def version_of(scorer: Scorer) -> int:
    """The version of a scorer's mathematics. Raises: ConfigError for one that is not a whole number above 0."""
    version = getattr(scorer, "version", 1)
    if type(version) is not int or version < 1:
        raise ConfigError(
            f"{type(scorer).__name__}.version is {version!r}",
            where="selector",
            mend="Make it a whole number, 1 or more: it counts the changes of the mathematics.",
        )
    return version


def content_of(scorer: Scorer) -> Any:
    """What the files hold that a scorer's config names; None where the config says all."""
    content = getattr(scorer, "content", None)
    return None if content is None else content()


def check_targets(scorer: Scorer, targets: Sequence[Target]) -> None:
    """Raise what the scorer has to say against these targets; no model is needed for it."""
    check = getattr(scorer, "check", None)
    if check is not None:
        check(targets)


@runtime_checkable
class Requests(Protocol):
    """A scorer that says beforehand what it will measure of the pool, so that several can share a pass.

    Each request is an extractor (a view, if the scorer reads other texts), the rows and the signals.
    """

    def requests(
        self, pool: Pool, targets: Sequence[Target], extractor: Extractor
    ) -> Sequence[tuple[Extractor, Pool, Sequence[Any]]]: ...


Files = Sequence[Path] | Mapping[str, Path]
"""Files under their own names, or each by the place it is to have."""


@runtime_checkable
class Layered(Protocol):
    """A scorer whose scores are sums over layers, and which can say what each layer adds."""

    def contributions(
        self,
        pool: Pool,
        targets: Sequence[Target],
        extractor: Extractor,
        *,
        rows: npt.NDArray[np.int64],
        among: npt.NDArray[np.bool_],
    ) -> Iterable[Contributions]:
        """For each score column, the parts of `rows` [n] and the mean parts of the rows where `among` [N]."""
        ...


class Describer(Protocol):
    """Reads what a pool's rows are by their texts. `key` is what decides it."""

    def key(self) -> Mapping[str, Any]: ...

    def read(self, pool: Pool) -> Traits: ...


class Tracker(Protocol):
    """Where a run is logged. No call may raise because the tracker is away, slow or refusing."""

    def start(self, name: str, config: Mapping[str, Any], *, group: str, tags: Sequence[str]) -> None: ...

    def log(self, metrics: Mapping[str, float], *, phase: str, step: int | None = None) -> None: ...

    def summary(self, values: Mapping[str, Any]) -> None: ...

    def histogram(self, name: str, values: npt.NDArray[Any]) -> None: ...

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None: ...

    def page(self, name: str, path: Path) -> None: ...

    def artifact(self, name: str, kind: str, files: Files, metadata: Mapping[str, Any]) -> None: ...

    def finish(self, *, failed: bool = False) -> None: ...


class Model(Protocol):
    """A model that is opened only when something must be computed with it.

    `load` gives the network (in eval mode, on its device, in its dtype) and its tokenizer, made anew at
    each call. `fingerprint` changes with the weights, the config or the tokenizer, without opening them.
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
    """A model whose layers may be split among a launcher's processes; the first of them measures with it.

    `follow` runs another process's part of it until the first one calls `dismiss`.
    """

    @property
    def tensor_parallel(self) -> bool: ...

    def follow(self) -> None: ...

    def dismiss(self) -> None: ...


class Trainer(Protocol):
    """A fine-tuning recipe. `recipe` is what decides the result; `train` writes an adapter into `folder`."""

    @property
    def recipe(self) -> Mapping[str, Any] | None:
        """None: nothing is trained, the base model is evaluated."""
        ...

    def train(
        self, model: Model, rows: TokenTable, folder: Path, *, seed: int, tracker: Tracker
    ) -> Mapping[str, Any]: ...


class Evaluator(Protocol):
    """A benchmark suite. `key` is what decides the numbers, the tasks' own definitions included."""

    def check(self) -> None:
        """Raises a clear error when the suite cannot run, before any model is opened."""
        ...

    def key(self) -> Mapping[str, Any]: ...

    def items(self) -> Mapping[str, Sequence[EvaluationText]]:
        """Task -> what its test items say, to be looked for in pools and reference sets; all, whatever the limit."""
        ...

    def evaluate(self, model: Model, adapter: Path | None, *, folder: Path) -> Evaluation: ...


@runtime_checkable
class Prompting(Protocol):
    """A suite that can write a prompt of each task with a model's tokenizer alone, before anything is trained."""

    def check_prompts(self, model: Model) -> None:
        """Raises a clear error when the model's chat template does not take a task's prompt."""
        ...


@runtime_checkable
class Sizes(Protocol):
    """A suite that may know how many items its tasks have without reading them."""

    def sizes(self) -> Mapping[str, int]:
        """Task -> its number of items; {} where that of any is not known."""
        ...


class Reporter(Protocol):
    """Writes a leaderboard of the store's runs (None: all) into `folder`; gives back the text to print."""

    def report(self, store: Any, runs: Sequence[str] | None, folder: Path) -> str: ...
