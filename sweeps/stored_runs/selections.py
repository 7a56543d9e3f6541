"""Selections as the store holds them, beside the rows of a leaderboard. N rows of a pool."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from nait.core.addresses import digest_lines
from nait.core.ranking.score_table import Contributions
from nait.core.statistics.results import Row
from nait.stages.artifacts.score_files import read_layers
from nait.store import Artifact
from nait.sweeps.stats.contrasts import BASE, TARGETLESS
from nait.sweeps.stored_runs.stores import Shelf

ROWS = "selected.jsonl"
SHORT = 220


@dataclass(frozen=True)
class Chosen:
    """A selection: its ids in rank order, its rows' texts where the store has them, and the whole pool's columns.

    `ids` [N], `scores` column -> [N], `answer_tokens` [N]. `layers`: each layer's part in the chosen rows' scores, of
    methods that have layers. `address`: of its artifact, the same for all seeds where no seed enters.
    """

    chosen: tuple[str, ...]
    texts: Mapping[str, str]
    ids: tuple[str, ...]
    scores: Mapping[str, npt.NDArray[np.float64]]
    answer_tokens: npt.NDArray[np.int64]
    layers: Sequence[Contributions] = ()
    address: str = ""

    def like(self, other: Chosen) -> bool:
        """Whether both are of one artifact, or of the same scores and rows."""
        if self.address and self.address == other.address:
            return True
        alike = self.chosen == other.chosen and self.scores.keys() == other.scores.keys()
        return alike and all(
            np.array_equal(values, other.scores[name], equal_nan=True) for name, values in self.scores.items()
        )


@dataclass(frozen=True)
class Picks:
    """The selections of one leaderboard line, by seed. All are of one pool. `targetless`: no target changes them."""

    method: str
    selector: str
    target: str
    budget: str
    by_seed: Mapping[int, Chosen]
    settings: Mapping[str, str]
    targetless: bool = False

    @property
    def first(self) -> Chosen:
        return self.by_seed[min(self.by_seed)]

    @property
    def unseeded(self) -> bool:
        """Whether every seed has the same artifact, or one of the same scores and rows."""
        return all(one.like(self.first) for one in self.by_seed.values())

    @property
    def stability(self) -> float | None:
        """The mean Jaccard index between seeds; None with one seed, or where no seed changes scores or rows."""
        if self.unseeded:
            return None
        pairs = list(combinations(self.by_seed.values(), 2))
        return float(np.mean([jaccard(a.chosen, b.chosen) for a, b in pairs])) if pairs else None


def read_picks(store: Shelf, rows: Sequence[Row]) -> list[Picks]:
    """The selections behind these rows, of the largest group of runs that share a pool; all and no data left out."""
    known: dict[str, Chosen | None] = {}
    groups: dict[tuple[str, str, str, str, str], dict[int, Chosen]] = {}
    settings = {row.selector: row.settings for row in rows}
    targetless = {row.selector: row.targetless or row.method in TARGETLESS for row in rows}
    for row in rows:
        if not row.selection or row.method in ("full", BASE):
            continue
        if row.selection not in known:
            known[row.selection] = read_chosen(store, row.selection)
        chosen = known[row.selection]
        if chosen:
            key = (row.pool, row.method, row.selector, row.target, row.budget)
            groups.setdefault(key, {}).setdefault(row.seed, chosen)
    pools = Counter(key[0] for key in groups)
    pool = pools.most_common(1)[0][0] if pools else ""
    met = {selector: place for place, (_, _, selector, _, _) in reversed(list(enumerate(groups)))}

    def place(key: tuple[str, ...]) -> tuple[bool, str, int, str]:
        _, method, selector, target, _ = key
        return method in TARGETLESS, method, met[selector], target

    return [
        Picks(*key[1:], groups[key], settings[key[2]], targetless[key[2]])
        for key in sorted(groups, key=place)
        if key[0] == pool
    ]


def read_chosen(store: Shelf, address: str) -> Chosen | None:
    """A `selections` artifact's ids, texts and columns; None where the store has it no more."""
    from pyarrow import parquet

    found = store.find("selections", address)
    if found is None:
        return None
    table = parquet.read_table(found.path / "scores.parquet")
    ids = tuple(table.column("id").to_pylist())
    chosen = table.filter(table.column("selected")).sort_by("rank").column("id").to_pylist()
    names = [name for name in table.column_names if name.startswith("score:")]
    scores = {
        name.removeprefix("score:"): np.asarray(table.column(name).to_numpy(zero_copy_only=False), np.float64)
        for name in names
    }
    tokens = table.column("answer_tokens").to_numpy().astype(np.int64)
    texts = {}
    if (found.path / ROWS).is_file():
        with (found.path / ROWS).open(encoding="utf-8") as stream:
            texts = {key: shorten(line) for key, line in zip(chosen, stream, strict=False)}
    return Chosen(tuple(chosen), texts, ids, scores, tokens, read_layers(found), address)


def selected(store: Shelf, record: Artifact) -> str:
    """The digest of the rows that a run selected, from the ids where its artifact holds none; empty without one."""
    link = record.manifest["links"].get("selection")
    found = store.find("selections", str(link)) if link else None
    if found is None:
        return ""
    if found.manifest.get("digest"):
        return str(found.manifest["digest"])
    chosen = read_chosen(store, found.address)
    return digest_lines(sorted(chosen.chosen)) if chosen else ""


def shorten(line: str) -> str:
    """A row's first words, its values joined, whatever its format."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        row = {"": line}
    words = " / ".join(_strings(row))
    return words if len(words) <= SHORT else words[: SHORT - 1] + "…"


def _strings(value: object) -> Iterable[str]:
    if isinstance(value, str) and value.strip():
        yield " ".join(value.split())
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)


def jaccard(a: Iterable[str], b: Iterable[str]) -> float:
    """The rows that both have over the rows that either has; 1 for two empty selections."""
    ours, theirs = set(a), set(b)
    return len(ours & theirs) / len(ours | theirs) if ours | theirs else 1.0
