"""Parts by the names of their options (scorers, orders, budgets, models, extractors), and readers of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nait.cli.config.composed_config import composed
from nait.cli.config.plain_config import build
from nait.cli.config.short_options import AskedSize, model_words
from nait.core.contracts import Budget, Model, Order, Scorer
from nait.core.dataset.examples import Pool, Target
from nait.data import pools
from nait.data.files.sources import memory_source
from nait.signals.extractor import StoredExtractor
from nait.store import Store

if TYPE_CHECKING:
    from nait.api.selected_rows import Rows


def read_pool(
    rows: Rows, *, name: str = "pool", columns: Mapping[str, str] | None = None, limit: int | None = None
) -> Pool:
    """Candidate rows, sorted by id, from a path, a list of dicts, a pandas frame or a `datasets.Dataset`.

    `columns`: field to column, such as {"instruction": "q", "output": "a"}; None: detected. `limit`: the first rows.
    Raises: DataError for a row that cannot be read.
    """
    return pools.read_pool(_source(rows, name), name=name, columns=columns, limit=limit)


def read_target(
    rows: Rows, *, name: str = "reference", columns: Mapping[str, str] | None = None, limit: int | None = None
) -> Target:
    """A reference set from rows as in `read_pool`. Raises: DataError for a row that cannot be read."""
    return pools.read_target(_source(rows, name), name=name, columns=columns, limit=limit)[0]


def _source(rows: Rows, name: str) -> Any:
    return rows if isinstance(rows, str | Path) else memory_source(rows, name)


def open_model(model: str | Path, *overrides: str) -> Model:
    """A causal language model by its folder, its Hub id, or the name of a preset; it is loaded when it is needed.

    `overrides`: keys of `nait run`, such as "model.max_length=1024". Raises: ModelError if it cannot be used.
    """
    return _built("model", [*model_words(str(model)), *overrides])  # type: ignore[no-any-return]


def scorer(name: str, *overrides: str) -> Scorer:
    """The scorer of a selector by its option's name: "nait_contrast", "rds", "perplexity".

    A scorer has `score(pool, targets, extractor)`, which returns a `ScoreTable`: values [N, T] for N rows and T
    columns, their unit and definition. `overrides`: keys such as "selector.layers=[1,2]".
    """
    return _built("selector", [f"selector={name}", *overrides])  # type: ignore[no-any-return]


def order(name: str) -> Order:
    """An order by its option's name, such as "highest": a function from a score table to a ranking (row numbers)."""
    return _built("order", [f"order={name}"])  # type: ignore[no-any-return]


def budget(*, top: float | str | None = None, rows: int | None = None, tokens: int | None = None) -> Budget:
    """A budget: a share of the pool, a number of rows, or a number of answer tokens; a tenth without any of them.

    Answers count up to the model's `max_length`, beyond which training does not read.
    It is called with a ranking and the answer tokens [N] of the pool, and returns a number of rows.
    """
    size = AskedSize(*(None if one is None else str(one) for one in (top, rows, tokens)))
    return _built("budget", size.words())  # type: ignore[no-any-return]


def extractor(model: Model, *, store: str | Path = "store", template: str = "alpaca") -> StoredExtractor:
    """An extractor of a model's measurements under a prompt template; results are kept in the folder `store`."""
    return StoredExtractor(model, Store(store), _built("template", [f"template={template}"]))


def _built(group: str, words: Sequence[str]) -> Any:
    """What the config's `group` builds under these words."""
    own = ["model=nano", *words]  # a model that is always there
    with composed(own, command="") as composition:
        config = composition.plain[group]
        return build({key: value for key, value in config.items() if (group, key) != ("selector", "name")})
