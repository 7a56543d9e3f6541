"""Contracts: the protocols that selectors, trainers, evaluators, trackers and reporters implement."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from nait.core.dataset.contamination import EvaluationText
from nait.core.dataset.examples import Example, Pool, Target
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
    They are those that training reads: an answer is cut at the model's length limit.

    `label` names the budget in tables, such as "10%" or "500 rows". Different budgets need different labels: a
    leaderboard groups runs by label.
    """

    @property
    def label(self) -> str: ...

    def __call__(self, ranking: Ranking, answer_tokens: npt.NDArray[np.int64]) -> int: ...


class Extractor(Protocol):
    """All forward and backward passes for selection, cached in the store.

    A view is an extractor that shares the store and the opened model. Shapes: N examples.
    """

    @property
    def model(self) -> Model:
        """The model that is measured."""

    @property
    def model_fingerprint(self) -> str:
        """The identity of the model's weights, config and tokenizer."""

    def identity(self, examples: Pool | Target) -> Mapping[str, Any]:
        """The part of a key that determines the token ids of `examples`: model, template, length limit, texts."""

    def tokens(self, examples: Pool | Target) -> TokenTable:
        """The token ids of the examples' texts, cut at the length limit: what the model reads."""

    def prompt_lengths(self, examples: Pool | Target) -> npt.NDArray[np.int64]:
        """Token counts [N] before the first answer token."""

    def lengths(self, examples: Pool | Target) -> npt.NDArray[np.int64]:
        """Token counts [N] of the texts, cut at the length limit."""

    def measure(self, examples: Pool | Target, signals: Sequence[Any]) -> list[npt.NDArray[Any]]:
        """One array [N, ...] per signal. All signals that the store lacks are measured in one pass."""

    def derive(
        self,
        kind: str,
        key: Mapping[str, Any],
        compute: Callable[[], tuple[Mapping[str, Any], Mapping[str, Any]]],
    ) -> tuple[dict[str, npt.NDArray[Any]], Any]:
        """Named arrays and their artifact: from the store, or computed by `compute() -> (arrays, facts)`."""

    def under(
        self, *, template: Any = None, max_length: int | None = None, room_for: Any = None, allowance: int = 0,
        end_token: bool = False, uncut: bool = False,
    ) -> Extractor:  # fmt: skip
        """A view of other texts of the same examples.

        - `template`: the template of pool and targets; None: unchanged.
        - `max_length`: the length limit in tokens; None: unchanged.
        - `room_for`: a template whose prompt must also fit. Texts are cut at max_length - n + `allowance` tokens,
          where n is the length of the row's prompt in that template.
        - `end_token`: texts end with the end token.
        - `uncut`: texts have no length limit, so their tokens can be counted, but not measured.
        """

    def on(self, model: Model) -> Extractor:
        """A view of another model on the same texts, such as the result of `fine_tune`."""

    def fine_tune(self, pool: Pool, ids: Collection[str], trainer: Trainer, *, seed: int) -> Any:
        """The artifact of an adapter that `trainer` fine-tunes on these rows of the pool, cached in the store."""

    def tokenizer(self) -> Any:
        """The model's tokenizer."""


class Scorer(Protocol):
    """A selection method: rates every row of the pool for every target.

    Only `score` is required. These members are optional, each with a default:

    - `version: int`, 1 by default. Increase it when the mathematics changes, so that stored scores are recomputed.
    - `content() -> Any`, None by default: the content of files that the config names, as JSON, so that scores are
      recomputed when a file changes. None: the config alone determines the scores.
    - `by_row: bool`, False by default: whether the scores depend on each row's number in the pool's file, so that
      they are recomputed when the rows are in another order.
    - `check(targets) -> None`, accepts any targets by default. Raises a NaitError for unsupported targets. A job
      calls it before it hashes or opens a model.

    A scorer that selects every eligible row has a class attribute `exhaustive = True`; one that selects no rows (the
    base model) has `selects = False`.

    `version_of`, `content_of`, `is_by_row` and `check_targets` read these members. A scorer that wraps another one
    forwards them.
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


def is_by_row(scorer: Scorer) -> bool:
    """Whether a scorer's scores depend on the numbers of the rows in the pool's file."""
    return bool(getattr(scorer, "by_row", False))


def check_targets(scorer: Scorer, targets: Sequence[Target]) -> None:
    """Check that the scorer supports these targets, without a model. Raises: NaitError from the scorer's `check`."""
    check = getattr(scorer, "check", None)
    if check is not None:
        check(targets)


@runtime_checkable
class Requests(Protocol):
    """A scorer that declares what it measures of the pool, so that several scorers can share a pass.

    A request names the extractor (a view, if the scorer uses another encoding or model), the rows and the signals.
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


@runtime_checkable
class Redrawable(Protocol):
    """A scorer that can score for bootstrap draws of the reference rows, and compare rows with them."""

    def draw_requests(
        self, pool: Pool, targets: Sequence[Target], extractor: Extractor, *, draws: int
    ) -> Sequence[tuple[Extractor, Pool, Sequence[Any]]]:
        """What `draw_scores` measures of the pool, to share a pass with `score`."""
        ...

    def draw_scores(
        self, pool: Pool, targets: Sequence[Target], extractor: Extractor, *, draws: int
    ) -> Iterable[npt.NDArray[Any]]:
        """Scores [N, T], in the columns of `score`, for each of `draws` draws of as many reference rows."""
        ...

    def likeness(
        self, row: Pool, pool: Pool, targets: Sequence[Target], extractor: Extractor
    ) -> Mapping[str, npt.NDArray[Any]]:
        """Target -> the similarity [n] of one row, a pool of its own, with each reference row."""
        ...


class Describer(Protocol):
    """Describes a pool's rows by their texts. `key` identifies the description: equal keys give equal traits."""

    def key(self) -> Mapping[str, Any]: ...

    def read(self, pool: Pool) -> Traits: ...


class Tracker(Protocol):
    """A log of a run. No method may raise, whatever the state of the tracker's server or disk."""

    def start(
        self, name: str, config: Mapping[str, Any], *, group: str, tags: Sequence[str], kind: str = "", key: str = ""
    ) -> None:  # fmt: skip
        """Begin a run.

        `kind`: its last stage (`select`, `train` or `evaluate`), or `leaderboard`.
        `key`: the identity of its result. A server that has a run with this key updates it. Empty: always a new run.
        """

    def log(self, metrics: Mapping[str, float], *, phase: str, step: int | None = None) -> None:
        """Log metrics of a phase. Each phase has its own step axis."""

    def summary(self, values: Mapping[str, Any]) -> None:
        """Add final values to the run's summary."""

    def histogram(self, name: str, values: npt.NDArray[Any]) -> None:
        """Log a histogram of the finite values."""

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Log a table."""

    def page(self, name: str, path: Path) -> None:
        """Log an HTML page."""

    def artifact(
        self, name: str, kind: str, files: Files, metadata: Mapping[str, Any], *, used: bool = False,
        aliases: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Record files as an artifact with a kind and metadata.

        `used`: an input of the run; otherwise its output. `aliases`: further names of this version.
        """

    def finish(self, *, failed: bool = False) -> None:
        """End the run."""


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


@runtime_checkable
class Relocatable(Protocol):
    """A model that can be opened in the host's memory, or without its weights, to be sharded over processes."""

    def load_on(self, device: Literal["cpu", "meta"]) -> Any:
        """The network in eval mode on `cpu`; on `meta` with the shapes of its tensors only."""
        ...


@runtime_checkable
class Quantizable(Protocol):
    """A model whose linear layers can be quantised when it is opened."""

    def load_quantized(self) -> Any:
        """The network in eval mode on its GPU, its linear layers in 4 bits."""
        ...


class Trainer(Protocol):
    """A fine-tuning recipe. `recipe` identifies the result; `train` writes an adapter or a model into `folder`."""

    @property
    def recipe(self) -> Mapping[str, Any] | None:
        """None: no training; the base model is evaluated."""
        ...

    def train(
        self, model: Model, rows: TokenTable, folder: Path, *, seed: int, tracker: Tracker
    ) -> Mapping[str, Any]: ...


@runtime_checkable
class PoolTrainer(Protocol):
    """A trainer whose number of updates may depend on the size of the whole pool."""

    def for_pool(self, rows: int, tokens_per_row: Callable[[], float]) -> Trainer:
        """The trainer for subsets of a pool with so many rows of this mean length in tokens."""
        ...


@runtime_checkable
class AdapterTrainer(Protocol):
    """A trainer that may train an adapter, which an evaluation then runs beside the model's own weights."""

    def save_untrained(self, model: Model, folder: Path) -> Path | None:
        """The folder of an adapter as `train` writes it, but without effect; None if all weights are trained."""
        ...


@runtime_checkable
class ShareableTrainer(Protocol):
    """A trainer whose work several processes share. Rank 0 calls `train`, the others `assist` with the same rows."""

    def draws(self, model: Model) -> bool:
        """Whether each process draws at random, such as dropout, so that their number decides the weights."""
        ...

    def resumes(self, folder: Path) -> Path | None:
        """The checkpoint in `folder` from which `train` resumes."""
        ...

    def assist(self, model: Model, rows: TokenTable, *, resumed: Path | None, seed: int) -> None:
        """This process's share of a training. Writes nothing."""
        ...


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
class HoldsOut(Protocol):
    """A suite that is made from held-out reference rows: a share of each reference set, or a file of test rows."""

    @property
    def held_out(self) -> float:
        """The share of each reference set, without a file of test rows."""
        ...

    @property
    def test(self) -> str | None:
        """The path of the file of test rows."""
        ...

    def suite_of(
        self, rows: Mapping[str, Sequence[Example]], *, template: Any, model: Model, folder: Path
    ) -> Evaluator:
        """The suite of the held-out rows of each target, asked with the template. May write to `folder`."""
        ...


@runtime_checkable
class ShareableEvaluator(Protocol):
    """An evaluator whose work several processes share. Rank 0 calls `evaluate`, the others `assist`."""

    def assist(self, model: Model, adapter: Path | None) -> None:
        """This process's share of an evaluation of the model with this adapter. Writes nothing."""
        ...


@runtime_checkable
class Adapting(Protocol):
    """A suite with settings that only decide how an adapter is run."""

    def without_adapter(self) -> Evaluator:
        """The suite for weights without an adapter: the same for all values of these settings."""
        ...


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


@runtime_checkable
class Divisible(Protocol):
    """A suite of which a part can be evaluated, so that its time predicts the time of the whole."""

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Requested name -> task -> the number of its items that are evaluated; {} if a part tells nothing.

        A task that two names request is counted once.
        """
        ...

    def part(self, items: Mapping[str, int]) -> Evaluator:
        """The suite of these tasks with so many items of each, evenly spread."""
        ...


class Reporter(Protocol):
    """Writes a leaderboard of the store's runs (None: all) into `folder` and returns the text to print.

    `failed`: lines on the jobs of a sweep that have no result, for the files; the caller prints them.
    """

    def report(
        self, store: Any, runs: Sequence[str] | None, folder: Path, *, failed: Sequence[str] = ()
    ) -> str: ...
