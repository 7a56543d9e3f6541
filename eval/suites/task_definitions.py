"""Task definitions: lm-evaluation-harness's YAML files, read without importing it.

A name denotes a task, a group (members, and means over them) or a tag (a label of several tasks). The harness ships
about 14,000 files, which take 10 to 30 s to read. A catalogue reads the folders it is given, and searches the rest of
the library only for an unknown name.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from nait.core.errors import ConfigError, did_you_mean
from nait.core.inputs.repeated_keys import MOST_PARTS, repeated_in_yaml, repeated_key_error, written_out

OWN = Path(__file__).parents[1] / "tasks"
STOCK = ("gsm8k", "mmlu/default", "bbh/cot_fewshot")
_SKIPPED = {"__pycache__", ".ipynb_checkpoints"}

# libyaml reads the stock folders ten times faster; PyYAML may have been built without it.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Function:
    """A `!function module.name` in a YAML file, not imported. The module is a file in `folder`, or installed."""

    spec: str
    folder: Path

    @property
    def file(self) -> Path | None:
        """The module's Python file next to the YAML file, or None for an installed module."""
        path = self.folder / (self.spec.rpartition(".")[0].replace(".", "/") + ".py")
        return path if path.is_file() else None


@dataclass(frozen=True)
class Entry:
    """A named task, group or tag.

    - `members`: the tasks of a tag, which has no file and no config.
    - `functions`: all functions in its file and in those that it includes. The harness imports each, also one that
      the definition overrides.
    """

    name: str
    kind: Literal["task", "group", "tag"]
    path: Path | None
    config: Mapping[str, Any]
    members: tuple[str, ...] = ()
    functions: tuple[Function, ...] = ()


class _Loader(_Base):  # type: ignore[misc]
    folder: Path
    functions: list[Function]


def _function(loader: _Loader, node: Any) -> Function:
    loader.functions.append(Function(str(node.value), loader.folder))
    return loader.functions[-1]


_Loader.add_constructor("!function", _function)


def read_definition(
    path: Path, *, within: tuple[Path, ...] = (), functions: list[Function] | None = None
) -> dict[str, Any]:
    """The mapping in a YAML file, merged over the files that it includes.

    The `!function` entries of all these files are added to `functions`.

    Raises: ConfigError if a file cannot be read, is not a mapping, includes itself, or repeats a key.
    """
    path = path.resolve()
    functions = [] if functions is None else functions
    if path in within:
        raise ConfigError("the file includes itself", where=str(path))
    if path.exists() and not path.is_file():
        raise ConfigError(
            "is not a regular file", where=str(path), fix="Remove it, or copy what it holds to a file."
        )
    try:
        with path.open("rb") as stream:
            loader = _Loader(stream)
            loader.folder, loader.functions = path.parent, functions
            node = loader.get_single_node()
            if written_out(node) > MOST_PARTS:
                raise ConfigError(
                    "aliases repeat its parts too often",
                    where=str(path),
                    fix="Write the definition without them.",
                )
            repeated = repeated_in_yaml(node)  # before merges are resolved, which may repeat a key
            config = loader.construct_document(node) if node else None
    except (OSError, yaml.YAMLError, ValueError, ArithmeticError, RecursionError) as error:
        raise ConfigError(f"the task file cannot be read ({error})", where=str(path)) from error
    if repeated:
        raise repeated_key_error(repeated[0], f"{path} line {repeated[1]}")
    if not isinstance(config, dict):
        raise ConfigError("a task file must hold a mapping", where=str(path))
    included = config.pop("include", [])
    merged: dict[str, Any] = {}
    for name in [included] if isinstance(included, str) else included:
        merged |= read_definition(path.parent / name, within=(*within, path), functions=functions)
    return merged | config


def library() -> Path:
    """The folder of lm_eval's tasks, found without importing it. Raises: ConfigError if it is not installed."""
    spec = importlib.util.find_spec("lm_eval")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError("lm_eval is not installed", where="eval", fix="Install nait's dependencies.")
    return Path(spec.submodule_search_locations[0]) / "tasks"


class Catalogue:
    """The names read so far. Earlier folders take precedence over later ones, and all of them over the library."""

    def __init__(self, folders: Sequence[Path], *, shipped: Path, stock: Sequence[str] = STOCK) -> None:
        self._entries: dict[str, Entry] = {}
        self._read: set[Path] = set()
        self._shipped = shipped
        for folder in folders:
            if not folder.is_dir():
                raise ConfigError(f"there is no folder {folder}", where="eval.include")
            self._add(folder, strict=True)
        for part in stock:
            self._add(shipped / part, strict=False)

    def suggestion(self, name: str) -> str:
        """A suggestion: the nearest names read so far, or else all names that no group lists."""
        near = did_you_mean(name, self._entries)
        if not near.startswith("Known"):
            return near
        entries = self._entries.values()
        inner = {
            m for e in entries for m in (*e.members, *(e.config.get("task") or ())) if isinstance(m, str)
        }
        return did_you_mean(name, [e.name for e in entries if e.kind != "tag" and e.name not in inner])

    def find(self, name: str, *, whole: bool = False) -> Entry | None:
        """The entry of `name`, or None. With `whole`, a tag's tasks are searched in the whole library."""
        entry = self._entries.get(name)
        if entry is None or (whole and entry.kind == "tag"):
            self._search(name, whole=entry is not None)
        return self._entries.get(name)

    def _add(self, folder: Path, *, strict: bool) -> None:
        if folder in self._read:
            return
        self._read.add(folder)
        for path in sorted(folder.rglob("*.yaml")):
            if _SKIPPED.isdisjoint(path.parts):
                try:
                    functions: list[Function] = []
                    self._enter(read_definition(path, functions=functions), path, tuple(functions))
                except ConfigError:
                    # The harness skips its own broken files too. An error in a user's file is raised.
                    if strict:
                        raise

    def _enter(self, config: dict[str, Any], path: Path, functions: tuple[Function, ...]) -> None:
        name = config.get("group") or config.get("task")
        if not isinstance(name, str):
            return  # a template that other files include
        if name in self._entries and self._entries[name].kind != "tag":
            return
        kind: Literal["task", "group"] = "group" if "group" in config and "class" not in config else "task"
        self._entries[name] = Entry(name, kind, path, config, functions=functions)
        tags = config.get("tag") or [] if kind == "task" else []
        for tag in [tags] if isinstance(tags, str) else tags:
            known = self._entries.get(tag)
            if known is None or known.kind == "tag":
                members = {*(known.members if known else ()), name}
                self._entries[tag] = Entry(tag, "tag", None, {}, tuple(sorted(members)))

    def _search(self, name: str, *, whole: bool) -> None:
        """Read the library's folders that may define `name`: by folder name, else by file content."""
        if not whole:
            plain = name.replace("-", "_")  # the task mmlu_redux_... is in the folder mmlu-redux
            folders = [path for path in self._shipped.iterdir() if path.is_dir()]
            near = [path for path in folders if plain.startswith(path.name.replace("-", "_"))]
            for folder in sorted(near, key=lambda path: -len(path.name)):
                self._add(folder, strict=False)
                if name in self._entries:
                    return
        for folder in sorted(set(_mentions(self._shipped, name))):
            self._add(folder, strict=False)


def _mentions(root: Path, name: str) -> Iterator[Path]:
    """Folders under `root` with a file that has `name` as its task, group or tag, or as a list item."""
    key = r"""(?:["']?(?:task|group|tag)["']?[ \t]*:[ \t]*)?"""
    line = re.compile(rf"""^[ \t]*(?:-[ \t]*)?{key}["']?{re.escape(name)}["']?[ \t]*$""", re.MULTILINE)
    for folder, _, files in os.walk(root):
        for file in files:
            if file.endswith("yaml"):
                path = Path(folder, file)
                text = path.read_text(encoding="utf-8", errors="replace")
                if name in text and line.search(text):
                    yield path.parent
