"""Warnings about a report's results, and the provenance of the results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nait.core.errors import StoreError
from nait.core.statistics.results import Row
from nait.sweeps.render.report_document import Block, Notes, Table
from nait.sweeps.stats.aggregates import Line
from nait.sweeps.stored_runs.method_names import BASE, is_shuffled
from nait.sweeps.stored_runs.run_set import RunSet

LOUD_RHO = 0.5
LENGTH_WARNING = "length (Spearman rho"
"""A part of the warning that a selection records itself, with the way on."""
NO_SCORES = "the store no longer has the scores, so their warnings are unknown."


def warnings(runs: RunSet, rows: Sequence[Row], lines: Sequence[Line]) -> tuple[Block, ...]:
    """Caveats on the results: few seeds, length correlation, missing tasks and recorded warnings."""
    texts: list[str] = []
    few = sorted(
        {
            f"{line.selector} ({', '.join(filter(None, (line.target, line.budget)))})"
            for line in lines
            if line.task and line.seeds < 3 and line.method != BASE
        }
    )
    if few:
        texts.append(f"Fewer than three seeds: {_some(few)}.")
    texts += sorted({f"{line.task} lacks {line.missing}." for line in lines if line.missing})
    names_by_text: dict[str, set[str]] = {}
    for kind, links in (
        ("runs", _runs(rows)),
        ("scores", _scores(runs, rows)),
        ("adapters", _adapters(rows)),
        ("evaluations", _evaluations(rows)),
    ):
        for name, address in links:
            found = runs.find(kind, address)
            lacking = [NO_SCORES] if kind == "scores" else []
            for text in found.manifest.get("warnings", ()) if found else lacking:
                names_by_text.setdefault(str(text), set()).add(name)
    said = {name for text, names in names_by_text.items() if LENGTH_WARNING in text for name in names}
    lengths = {
        f"{line.selector}, {line.target}: the score correlates with token length (rho {line.checks['rho']:+z.2f})."
        for line in lines
        if abs(line.checks.get("rho", 0.0)) > LOUD_RHO and line.selector not in said
    }
    texts += sorted(lengths)
    texts += [f"{_some(sorted(names))}: {text}" for text, names in names_by_text.items()]
    return (Notes(tuple(texts)),)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _scores(runs: RunSet, rows: Sequence[Row]) -> Iterable[tuple[str, str]]:
    for address, row in {row.run: row for row in rows}.items():
        found = runs.find("runs", address)
        uses_scores = found and row.method != BASE and not is_shuffled(found)
        if found and uses_scores and found.manifest["links"].get("scores"):
            yield row.selector, str(found.manifest["links"]["scores"])


def _runs(rows: Sequence[Row]) -> Iterable[tuple[str, str]]:
    return [(row.selector, row.run) for row in {row.run: row for row in rows}.values()]


def _adapters(rows: Sequence[Row]) -> Iterable[tuple[str, str]]:
    return [(row.selector, row.adapter) for row in {row.run: row for row in rows}.values() if row.adapter]


def _evaluations(rows: Sequence[Row]) -> Iterable[tuple[str, str]]:
    return [
        (row.selector, row.evaluation) for row in {row.run: row for row in rows}.values() if row.evaluation
    ]


def provenance(runs: RunSet, rows: Sequence[Row]) -> tuple[Block, ...]:
    """Inputs and versions, the recorded command of each run, and the artifacts of each run."""
    by_run = {row.run: row for row in rows}
    facts: dict[str, set[str]] = {}
    commands, places = [], []
    for address, row in sorted(
        by_run.items(), key=lambda one: (one[1].selector, one[1].target, one[1].budget, one[1].seed)
    ):
        found = runs.find("runs", address)
        manifest: Mapping[str, Any] = found.manifest if found else {}
        for name, value in _facts(runs, manifest, row):
            facts.setdefault(name, set()).add(value)
        links = manifest.get("links", {})
        if row.method == BASE:  # the untrained model uses no selection
            links = {kind: link for kind, link in links.items() if kind not in ("scores", "selection")}
        named = [row.selector, row.target, row.budget, row.seed]
        places.append([*named, *(str(links.get(kind) or "")[:12] for kind in LINKS), address[:12]])
        if manifest.get("command"):
            commands.append([*named, manifest["command"]])
    body = [[name, value] for name, values in sorted(facts.items()) for value in sorted(values)]
    header = ("selector", "target", "budget", "seed")
    return (
        Table.of("provenance", ["what", "which"], body, caption="Inputs and versions of these results."),
        Table.of("commands", [*header, "command"], commands, caption="The command of each run.", code=True),
        Table.of(
            "artifacts", [*header, *LINKS, "run"], places, caption="Artifacts in the store, by address."
        ),
    )


LINKS = ("scores", "selection", "adapter", "evaluation")


def _facts(runs: RunSet, manifest: Mapping[str, Any], row: Row) -> Iterable[tuple[str, str]]:
    """Name and value of each input of a run, mostly shared between runs."""
    yield "model", row.model
    yield from _flat(
        "", {key: manifest[key] for key in ("versions", "git", "python", "platform") if key in manifest}
    )
    yield from _flat("fingerprint", manifest.get("fingerprints") or {})
    yield from ((f"training {name}", str(value)) for name, value in manifest.get("training", {}).items())
    evaluation = runs.find("evaluations", row.evaluation) if row.evaluation else None
    if evaluation:
        suite = evaluation.manifest.get("key", {}).get("suite", {})
        yield from (
            (f"evaluation {k}", str(suite[k])) for k in ("limit", "seed", "apply_chat_template") if k in suite
        )
        try:
            yield from _flat("version", runs.versions(evaluation))
        except StoreError:
            return


def _flat(prefix: str, value: Any) -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _flat(f"{prefix} {name}".strip(), part)
    elif value is not None:
        yield prefix, str(value)
