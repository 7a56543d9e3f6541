"""The data that a task needs: their source, whether they are missing, and the digests of definition and data.

Data come from a Hub repository (here: the mirror), from files that the task lists, or from a function of the task.
The content of the data is part of an evaluation's address; their location is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nait.core.addresses import address
from nait.core.errors import ConfigError
from nait.eval.local_data import files_digest, repository, split_files
from nait.eval.suites.source_files import code_digests, own_modules, sources
from nait.eval.suites.suite import Suite, Task
from nait.eval.suites.task_definitions import Function
from nait.hub.reachability import offline_variable, unreachable_hub

_FILE_READERS = {"arrow", "csv", "json", "parquet", "text", "xml"}
_PLACES = {"data_dir", "data_files"}
_URL = re.compile(r"[a-z][a-z0-9+]*:/", re.IGNORECASE)
"""The beginning of a URL, as a path writes it: with one slash."""


@dataclass(frozen=True)
class DataSource:
    """The source of a task's rows. `repo` is "" if the task generates the rows or lists their files.

    `inside`: the folder of the repository that holds them; "" for the whole one.
    """

    repo: str
    config: str | None
    splits: tuple[str, ...]
    files: tuple[Path, ...] = ()
    inside: str = ""


def data_source(task: Task) -> DataSource:
    """The data that a task reads: the evaluated split, and the split of its few-shot examples."""
    config = task.config
    shots = config.get("fewshot_config") or {}
    shots = shots if isinstance(shots, Mapping) else {}
    scored = config.get("test_split") or config.get("validation_split")
    examples = shots.get("split") or config.get("fewshot_split")
    if not examples and not shots.get("samples"):
        examples = config.get("training_split") or config.get("validation_split")
    splits = tuple(dict.fromkeys(split for split in (scored, examples) if split))
    if config.get("custom_dataset") or config.get("class"):
        return DataSource("", None, splits)
    repo = str(config.get("dataset_path") or "")
    options = config.get("dataset_kwargs") or {}
    inside = str(options.get("data_dir") or "")
    if repo in _FILE_READERS:
        return DataSource("", None, splits, _listed_files(inside, _flat(options.get("data_files") or ())))
    name = config.get("dataset_name")
    return DataSource(repo, None if name is None else str(name), splits, inside=inside)


def _listed_files(folder: str, names: list[str]) -> tuple[Path, ...]:
    """The files of these names in a folder; without names, all in it, or the folder itself if it has none."""
    if names or not folder:
        return tuple(Path(name) if _URL.match(name) else Path(folder, name) for name in names)
    return tuple(sorted(path for path in Path(folder).rglob("*") if path.is_file())) or (Path(folder),)


def _folder_of(need: DataSource, mirror: Path | None) -> Path:
    return repository(need.repo, mirror) / need.inside


def _flat(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, Mapping) else value
    return [leaf for part in parts for leaf in _flat(part)]


def missing_data(suite: Suite, mirror: Path | None, *, online: bool) -> dict[str, str]:
    """Task -> the reason why its data are not available; only tasks with missing data.

    Raises: ConfigError if tasks need the Hub and there is no mirror and `online` is false.
    """
    wanted = {task.name: data_source(task) for task in suite.tasks}
    reasons: dict[str, str] = {}
    if mirror is None and not online:
        names = {need.repo for need in wanted.values() if need.repo}
        repos = sorted(name for name in names if not repository(name, mirror).is_dir())
        if repos:
            raise ConfigError(
                f"no source for {', '.join(repos)}",
                where="eval.mirror",
                fix="Set eval.mirror=DIR (a folder in the Hub's layout), or eval.online=true. "
                "To select only: 'stages=[select]'.",
            )
    for name, need in wanted.items():
        lost = [str(path) for path in need.files if not _URL.match(str(path)) and not path.is_file()]
        if lost:
            reasons[name] = f"no file {', '.join(lost)}{_working_folder(lost)}"
        elif need.repo and not online:
            found = split_files(_folder_of(need, mirror), None if need.inside else need.config)
            absent = [split for split in need.splits if split not in found]
            if not found or absent:
                reasons[name] = " ".join(filter(None, [need.repo, need.config, *absent]))
    return reasons


def where_to_put(tasks: Iterable[Task], mirror: Path | None) -> str:
    """What to add to the mirror for the first of these tasks that reads a Hub data set; "" if none does."""
    need = next((source for source in map(data_source, tasks) if source.repo), None)
    if mirror is None or need is None:
        return ""
    inside = f"{need.config}/" if need.config not in (None, "default") else ""
    inside = f"{need.inside}/" if need.inside else inside
    named = " and ".join(f"{inside}{split}.parquet" for split in need.splits or ("test",))
    return (
        f"{mirror / need.repo} needs {named} (or .jsonl, .csv), or a README.md whose 'configs:' list the "
        "files of each split, as on the Hub."
    )


def _working_folder(lost: list[str]) -> str:
    """Where relative paths are searched; "" if all are absolute."""
    relative = any(not Path(name).is_absolute() for name in lost)
    return f" in {Path.cwd()}: give its absolute path in data_files" if relative else ""


def check_hub(suite: Suite) -> None:
    """Raises: ConfigError if tasks read data from the Hub, the Hub cannot be reached, and offline mode is not set."""
    asked = [task.name for task in suite.tasks if data_source(task).repo]
    fault = "" if not asked or offline_variable() else unreachable_hub()
    if fault:
        more = f" and {len(asked) - 3} more" if len(asked) > 3 else ""
        raise ConfigError(
            f"the data of {', '.join(asked[:3])}{more} come from the Hub, and {fault}",
            where="eval.online=true",
            fix="Check the network, or read the benchmarks from a folder: eval.online=false "
            "eval.mirror=FOLDER. With HF_HUB_OFFLINE=1 the local cache is read.",
        )


def task_digest(task: Task) -> str:
    """The address of a task's definition: its settings and the source code of its functions."""
    return address({"definition": _decisive(task.config)})


def _decisive(value: Any) -> Any:
    """The part of a definition that decides the numbers, as JSON types.

    A function counts by its name and its source code; the location of the data does not count.
    """
    if isinstance(value, Function):
        module = value.spec.rpartition(".")[0]
        places = [(value.file, "")] if value.file else own_modules(module)
        found = {source for file, package in places for source in sources(file, package)}
        return {"function": value.spec, "sources": sorted(code_digests(sorted(found)))}
    if isinstance(value, Mapping):
        return {str(key): _decisive(part) for key, part in value.items() if key not in _PLACES}
    if isinstance(value, (list, tuple)):
        return [_decisive(part) for part in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def data_digest(task: Task, mirror: Path | None) -> str:
    """The address of a task's rows: from the bytes of its files, or from the repository's name on the Hub."""
    need = data_source(task)
    if need.files:
        local = [path for path in need.files if path.is_file()]
        return address([files_digest(local), [str(path) for path in need.files if path not in local]])
    if need.repo and repository(need.repo, mirror).is_dir():
        found = split_files(_folder_of(need, mirror), None if need.inside else need.config)
        return address({split: files_digest(found.get(split, ())) for split in need.splits})
    return address([need.repo, need.config, need.splits, *([need.inside] if need.inside else [])])
