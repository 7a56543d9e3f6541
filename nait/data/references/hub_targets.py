"""Targets from splits of Hub data sets. A split that a benchmark evaluates is refused."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nait.core.dataset.examples import Target, chosen_names
from nait.core.errors import ConfigError
from nait.data.columns.assigned_columns import Columns
from nait.data.files.file_io import Decoding
from nait.data.files.sources import hub_source
from nait.data.parsing.row_parser import RowParser
from nait.data.references.field_texts import FieldText, read_texts
from nait.data.references.joined_rows import SUBTASK, JoinedRows, SourcePart
from nait.data.references.reference_sets import reference_set

EVALUATED = {
    "xquad": ("validation",),
    "squad": ("validation",),
    "squad_v2": ("validation",),
    "tydiqa": ("validation",),
    "tydiqa-goldp": ("validation",),
    "xtreme": ("validation",),
    "gpqa": ("train",),
    "ifeval": ("train",),
}
"""Data set, without owner and in lower case -> its splits that benchmarks evaluate under another name than test.

Copies have other owners. XQuAD translates SQuAD's validation split, which SQuAD 2 contains; XTREME contains XQuAD and
TyDi QA.
"""
TEST_WORDS = re.compile(r"test\w*|eval|evaluation")
"""Words in the name of a test split; the Hub takes `eval` and `evaluation` for `test` too."""


def read_hub_target(
    path: str,
    *,
    subset: str | Sequence[str] | None = None,
    split: str | Sequence[str] = "train",
    revision: str | None = None,
    mirror: str | Path | None = None,
    name: str | None = None,
    texts: Mapping[str, str] | None = None,
    subtask: str | None = None,
    format: str = "auto",
    columns: Columns | None = None,
    id_column: str | None = None,
    limit: int | None = None,
    on_bad: str = "error",
    duplicates: str = "keep",
    reasoning: str = "keep",
    turns: str = "refuse",
    first_index: int = 0,
    encoding: str | None = None,
    separator: str | None = None,
    field: str | None = None,
    max_row_mb: int = 64,
    rows: int | None = None,
    seed: int = 0,
) -> list[Target]:
    """One target: rows of splits and subsets of a Hub data set, from a local mirror or over the network.

    `subset`, `split`: one name or several, whose rows are joined; with several subsets, each is a subtask.
    `texts`: field -> text with columns in braces (`nait.data.references.field_texts`), instead of `columns`.
    `subtask`: a column, or such a text. `rows`: number of rows to sample with `seed`; None uses all.
    The other parameters match `read_pool`.

    Raises: ConfigError for a split that is evaluated; DataError, ConfigError.
    """
    splits = _names(split)
    for one in splits:
        check_split(path, one)
    if texts and (columns or format != "auto"):
        fix = "Set target.columns=null and target.format=auto, or target.texts=null."
        raise ConfigError("cannot be combined with columns or a format", where="target.texts", fix=fix)
    parser = RowParser(
        "alpaca" if texts else format,
        columns,
        id_column,
        limit,
        on_bad,
        reasoning,
        turns,
        first_index,
        group="target",
    )
    decoding = Decoding(encoding, separator, field, max_row_mb, group="target")
    subsets: list[str | None] = [None] if subset is None else [*_names(subset)]
    parts = [
        SourcePart(
            hub_source(path, subset=of, split=one, revision=revision, mirror=mirror, decoding=decoding),
            subtask=of or "" if len(subsets) > 1 else "",
        )
        for of in subsets
        for one in splits
    ]
    source = JoinedRows(
        " ".join([path, *(of for of in subsets if of), *splits]),
        parts,
        texts=read_texts(texts, "target.texts") if texts else {},
        subtask=_subtask(subtask),
        kept=[id_column] if id_column and id_column != "auto" else ["id"] if id_column else [],
    )
    given = name or path.split("/")[-1]
    return [reference_set(parser, source, given, duplicates=duplicates, rows=rows, seed=seed)]


def chosen_targets(
    sets: Mapping[str, Callable[..., list[Target]]],
    *,
    capabilities: str | Sequence[str] | None = None,
    mirror: str | Path | None = None,
    rows: int | None = None,
    seed: int | None = None,
) -> list[Target]:
    """The targets of several sets, by name; only these are read.

    `sets`: target -> a function that reads it. `capabilities`: names to use, in this order; None uses all.
    `mirror`, `rows`, `seed`: for each set that has such a parameter; None keeps the set's own.
    Raises: DataError, ConfigError.
    """
    given = {"mirror": mirror, "rows": rows, "seed": seed}
    found: list[Target] = []
    for name in chosen_names(capabilities, sets):
        known = inspect.signature(sets[name]).parameters
        options = {key: value for key, value in given.items() if value is not None and key in known}
        found += sets[name](name=name, **options)
    return found


def check_split(repo: str, split: str) -> None:
    """Raises: ConfigError for a split, or a join or slice of splits, that benchmarks evaluate."""
    for part in split.split("+"):
        base = part.split("[")[0].strip()
        words = re.split(r"[^a-z]+", base.lower())
        evaluated = EVALUATED.get(repo.split("/")[-1].casefold(), ())
        if base == "all" or any(map(TEST_WORDS.fullmatch, words)) or base.casefold() in evaluated:
            raise ConfigError(
                f"the split '{base}' of {repo} holds items that benchmarks evaluate: a selection for them would be "
                "made from the test",
                where="target.split",
                fix="Use a training, validation or few-shot split, or another data set of the same kind.",
            )


def _names(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _subtask(given: str | None) -> FieldText | None:
    if given is None:
        return None
    return FieldText(f"target.{SUBTASK}", given if "{" in given else f"{{{given}}}")
