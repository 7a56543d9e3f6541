"""`nait ls` and `nait show`: what there is to choose from, and what a run has made."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer

from nait.cli.help import conf_folder, groups
from nait.core.errors import ConfigError, did_you_mean
from nait.core.inputs import shapes
from nait.core.inputs.visible_text import visible, visible_line

GROUPS = {
    "selectors": "selector", "sweeps": "sweep", "evals": "eval", "data": "data", "targets": "target",
    "models": "model",
}  # fmt: skip
"""What `nait ls` lists -> its config group."""
TASKS = "tasks"


def ls(
    what: str | None = typer.Argument(None, metavar="[KIND]", help=f"{', '.join([*GROUPS, TASKS])}."),
) -> Callable[[], None]:
    """List what there is to choose from: selectors, sweeps, evals, data, targets, models, tasks."""
    return lambda: print(visible(listed(what)))


def listed(what: str | None) -> str:
    """The options of a kind, one per line with what each is; without a kind, the kinds. Raises: ConfigError."""
    if what is None:
        counts = [(kind, f"{len(groups()[group])} options of {group}=") for kind, group in GROUPS.items()]
        return _columns([*counts, (TASKS, f"{len(_tasks())} that ship; `lm-eval ls tasks` lists the others")])
    if what == TASKS:
        return _columns(_tasks())
    if what not in GROUPS:
        raise ConfigError(
            "there is no such kind", where=f"nait ls {what}", fix=did_you_mean(what, [*GROUPS, TASKS])
        )
    folder = conf_folder() / GROUPS[what]
    return _columns([(name, _first_comment(folder / f"{name}.yaml")) for name in groups()[GROUPS[what]]])


def _tasks() -> list[tuple[str, str]]:
    """The tasks that ship with this package, next to conf/ in a clone and in a wheel."""
    found = []
    for path in sorted((conf_folder().parent / "eval" / "tasks").glob("*/*.yaml")):
        name = re.search(r"^(?:task|group): *(\w+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        if name:
            found.append((name[1], _first_comment(path)))
    return found


def _first_comment(path: Path) -> str:
    """The first sentence of a YAML file's first comment."""
    lines = path.read_text(encoding="utf-8").splitlines()
    text = next((line[1:].strip() for line in lines if line.startswith("#") and "@package" not in line), "")
    return re.split(r"(?<=[.?]) (?=[A-Z])", text)[0]


def _columns(rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join(
        f"{name:<{width}}  {textwrap.shorten(text, 98 - width, placeholder=' ...')}" for name, text in rows
    )


def show(
    name: str = typer.Argument(
        metavar="RUN|SELECTION|FILE",
        help="A run's folder, a selection's address or folder, or a file of rows.",
    ),
    more: list[str] | None = typer.Argument(
        None,
        metavar="[data.KEY=VALUE]...",
        help="How to read a file of rows, such as data.columns.prompt=NAME.",
    ),
    store: str = typer.Option("store", "--store", help="The store of a selection's address."),
    as_json: bool = typer.Option(False, "--json", help="Print the record as JSON."),
) -> Callable[[], None]:
    """Show what a run, a selection or a file of rows is made of: its numbers, its warnings, its first rows."""
    return lambda: print(visible(shown(name, store, more or (), as_json=as_json)))


def shown(name: str, store: str, more: Sequence[str] = (), *, as_json: bool) -> str:
    """The record of a run's folder or of a selection, which may come from elsewhere, or the rows of a file.

    `more`: words of the config's `data`, for a file.

    Raises: ConfigError if there is none, or the record has another form; StoreError for one that cannot be read;
    DataError for a file that is not one of rows.
    """
    folder = Path(name).expanduser()
    keys = [word for place, word in enumerate(more) if "=" in word or not place]  # others are parts of values
    other = next((word for word in keys if word.startswith("data.path=") or word[:5] != "data."), "")
    if more and (other or not folder.is_file()):
        fix = "Give one run, selection or file. Only a file takes further words, data.KEY=VALUE."
        raise ConfigError("this word is not used here", where=other or more[0], fix=fix)
    if (folder / "run.json").is_file():
        from nait.runs.records.interrupted_runs import settle

        settle(folder)
        record = _checked(folder / "run.json", RUN)
        return json.dumps(record, indent=2) if as_json else _run(folder, record)
    if folder.is_file():
        from nait.cli.selection.row_files import shown_rows

        return shown_rows(folder, more, as_json=as_json)
    manifest = _selection(folder, store, name)
    if as_json:
        return json.dumps(manifest, indent=2)
    names = ("address", "created", "rows", "answer_tokens", "digest")
    return _columns([(key, str(manifest.get(key))) for key in names])


RUN = shapes.record(
    {"rows": shapes.record({"pool": shapes.record({"rows": shapes.whole})})},
    seconds=shapes.keyed(shapes.finite), truth=shapes.keyed(shapes.real), warnings=shapes.listed(shapes.text),
)  # fmt: skip
RESULTS = shapes.listed(shapes.record({"task": shapes.text, "metric": shapes.text, "value": shapes.real}))


def _checked(path: Path, shape: shapes.Shape) -> Any:
    """The JSON in a file. Raises: ConfigError if it has another shape; StoreError if it cannot be read."""
    from nait.store import read_json

    found = read_json(path)
    if wrong := shapes.fault(found, shape):
        raise ConfigError(f"it is not a record ({wrong})", where=str(path), fix="Give the folder of a run.")
    return found


def _selection(folder: Path, store: str, name: str) -> dict[str, Any]:
    found = [folder] if (folder / "manifest.json").is_file() else []
    if not found and re.fullmatch(r"[0-9a-f]{4,}", name):
        found = [
            path for path in Path(store).glob(f"selections/{name}*") if (path / "manifest.json").is_file()
        ]
    if len(found) != 1:
        fix = "Give a run's folder, which holds run.json, the address of a selection in --store, or a file of rows."
        fix = " ".join(filter(None, [fix, _nearest(folder)]))
        raise ConfigError(f"{len(found)} runs and selections have this name", where=name, fix=fix)
    manifest: dict[str, Any] = _checked(found[0] / "manifest.json", shapes.keyed(lambda _: ""))
    return manifest


def _nearest(folder: Path) -> str:
    """The newest run below a folder, or the files beside one that is not there and have a similar name."""
    from nait.cli.selection.run_folders import run_advice

    if folder.is_dir():
        return run_advice(folder).partition("run. ")[2]
    beside = folder.parent.iterdir() if folder.parent.is_dir() else ()
    near = did_you_mean(folder.name, [path.name for path in beside])
    return near if near.startswith("Did") else ""


def _run(folder: Path, record: dict[str, Any]) -> str:
    """A run's record as a table."""
    rows = [
        (key, str(record.get(key)))
        for key in ("status", "selector", "target", "budget", "seed", "model", "pool")
    ]
    rows += [("rows", f"{record['rows']['pool']['rows']:,} in the pool")]
    rows += [
        (f"{name} s", f"{value:.1f} from an empty store") for name, value in record.get("seconds", {}).items()
    ]
    rows += [(f"truth {name}", f"{value:.2f}") for name, value in record.get("truth", {}).items()]
    if (folder / "results.json").is_file():
        results = _checked(folder / "results.json", lambda _: "")
        found = results.get("results", []) if isinstance(results, dict) else results
        if wrong := shapes.fault(found, RESULTS):
            raise ConfigError(f"it has no results ({wrong})", where=str(folder / "results.json"))
        rows += [(one["task"], f"{one['metric']} {one['value']:z.3f}") for one in found if one.get("primary")]
    rows += [("warning", text) for text in record.get("warnings", [])]
    rows += [
        (path.name, str(path)) for path in sorted(folder.iterdir()) if path.suffix in (".jsonl", ".parquet")
    ]
    rows = [(visible_line(name), visible_line(text)) for name, text in rows]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)
