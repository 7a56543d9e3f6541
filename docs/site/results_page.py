"""The page of results: what was measured here, from the rows of the leaderboard, and what was published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from nait.sweeps.render.markdown import escaped, table
from nait.sweeps.reports.submitted_rows import read_rows

HEAD = """# Results

This page is generated: the first part from the rows of the [leaderboard](community/leaderboard.md), which
`nait submit` writes, the second from `sweeps/published.yaml`. Speed has [a page of its own](speed/results.md), and so
has the question whether [a score predicts what training does](validity.md).
"""
PUBLISHED = """## Published figures

Figures of {source}, in percent. None has been reproduced here: full fine-tuning of a 7B model needs 81 GB of GPU
memory. The report of a run of [the paper's experiments](paper.md) shows each beside the measured one, with the
settings that differ.
"""
NOTHING = "No row yet."


def results(root: Path) -> str:
    """The page, in Markdown."""
    rows = read_rows(root / "community" / "leaderboard")
    published = yaml.safe_load((root / "sweeps" / "published.yaml").read_text(encoding="utf-8"))
    parts = [HEAD, "## Measured", *(_measured(rows) or [NOTHING])]
    parts += [PUBLISHED.format(source=published["source"]), _published(published["figures"])]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _measured(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table for each benchmark of each setting: every method beside random, the largest gain first."""
    found: dict[tuple[str, ...], list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
    for row in rows:
        for one in row["results"]:
            place = (row["model"], row["pool"], row["recipe"], row["table"], one["task"], one["metric"])
            found.setdefault(place, []).append((row, one))
    return [part for place, group in sorted(found.items()) for part in _benchmark(place, group)]


def _benchmark(
    place: tuple[str, ...], group: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> list[str]:
    model, pool, recipe, _, task, metric = place
    higher = group[0][1]["higher_is_better"]
    ordered = sorted(group, key=lambda one: -one[1]["minus_random"]["value"] * (1 if higher else -1))
    body = []
    for row, one in ordered:
        compared = one["minus_random"]
        verdict = "not significant"
        if compared["significant"]:
            verdict = "better" if (compared["value"] > 0) == higher else "worse"
        body.append([
            row["method"], row["target"], row["budget"], f"{one['value']:.3f}", f"{one['random']:.3f}",
            f"{compared['value']:+.3f} [{compared['low']:+.3f}, {compared['high']:+.3f}]", verdict,
            f"{row['seconds']['select'] or 0:.1f}", str(len(row["seeds"])),
        ])  # fmt: skip
    header = ["method", "target", "budget", "score", "random", "difference", "verdict", "select s", "seeds"]
    about = f"Model {model}; pool {pool}; {recipe}; {group[0][1]['items']} items; {metric}"
    return [
        f"### {escaped(task)} ({escaped(model)}, {escaped(pool)})",
        escaped(f"{about}, {'higher' if higher else 'lower'} is better."),
        table(header, body),
    ]


def _published(figures: Sequence[Mapping[str, Any]]) -> str:
    """The published figures that have a value."""
    body = [
        [
            str(one["name"]), str(one.get("settings", {}).get("model", "")), _benchmark_of(one),
            f"{one['value']:.2f}", str(one.get("table", "")),
        ]
        for one in figures
        if isinstance(one.get("value"), int | float)
    ]  # fmt: skip
    return table(["method", "model, if not Llama-2-7B", "benchmark", "value", "table"], body)


def _benchmark_of(figure: Mapping[str, Any]) -> str:
    name = str(figure.get("benchmark") or f"mean of {figure.get('mean', '')}")
    return f"{name}, gain over {figure['over']}" if figure.get("over") else name
