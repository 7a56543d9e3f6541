"""The Python files that decide what a task's own functions give: a file and what it imports of this package."""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path

PACKAGE = __name__.partition(".")[0]


def sources(file: Path, package: str = "") -> list[Path]:
    """`file` and every module of ours that it reaches, sorted by path. `package`: that the file belongs to."""
    found: dict[Path, str] = {}
    waiting = [(file, package)]
    while waiting:
        path, home = waiting.pop()
        if path not in found:
            found[path] = home
            state = path.stat()
            names = _imports(path, home, state.st_size, state.st_mtime_ns)
            waiting += [place for name in names for place in _module(name)]
    return sorted(found)


@functools.lru_cache(maxsize=512)
def _imports(file: Path, package: str, _size: int, _changed: int) -> tuple[str, ...]:
    """The names that a file imports, read once a process for each state of the file."""
    return tuple(_names(file, package))


def _names(file: Path, package: str) -> Iterator[str]:
    """Relative names are made absolute; of `from a import b` both a and a.b."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _module(name: str) -> list[tuple[Path, str]]:
    """The file and the package of a module of ours; nothing of others, or where the name is not a module."""
    if name.split(".")[0] != PACKAGE:
        return []
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:  # a name inside a module
        return []
    if spec is None or spec.origin is None:
        return []
    return [(Path(spec.origin), name if spec.submodule_search_locations else name.rpartition(".")[0])]
