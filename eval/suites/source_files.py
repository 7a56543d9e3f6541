"""The Python source files behind a task's functions: a file, and the modules that it imports.

These are modules of this package, and the user's own: importable, and not installed as packages.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import io
import sysconfig
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeGuard

PACKAGE = __name__.partition(".")[0]
VERSIONED = ("lm_eval",)
"""Packages whose version is in an evaluation's key, wherever they are installed."""
INSTALLED = {"site-packages", "dist-packages"}


def sources(file: Path, package: str = "") -> list[Path]:
    """`file` and the modules of this package and the user's that it imports, also indirectly, sorted.

    `package`: that of `file`.
    """
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


def code_digests(files: Sequence[Path]) -> list[str]:
    """The sha256 of each file's code, without comments, docstrings, blank lines and imports.

    Imported modules have digests of their own, so moving or documenting a module changes no digest.
    """
    states = [(file, file.stat()) for file in files]
    return [_code_digest(file, state.st_size, state.st_mtime_ns) for file, state in states]


@functools.lru_cache(maxsize=512)
def _code_digest(file: Path, _size: int, _changed: int) -> str:
    """The digest of one file's code, cached by size and time of change."""
    source = file.read_text(encoding="utf-8")
    texts = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            texts[token.start[0] - 1] = texts[token.start[0] - 1][: token.start[1]]
    lines = [text.encode() for text in texts]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)) or _is_text(node):
            _blank(lines, node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
    code = b"\n".join(line.rstrip() for line in lines if line.strip())
    return hashlib.sha256(code).hexdigest()


def _blank(lines: list[bytes], row: int, column: int, last: int | None, end: int | None) -> None:
    """Overwrite a statement with spaces. Rows count from 1, columns in bytes."""
    for at in range(row, (last or row) + 1):
        line = lines[at - 1]
        start, stop = column if at == row else 0, end if at == last and end is not None else len(line)
        lines[at - 1] = line[:start] + b" " * (stop - start) + line[stop:]


def _is_text(node: ast.AST) -> TypeGuard[ast.Expr]:
    """Whether a statement is a string alone: a docstring."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@functools.lru_cache(maxsize=512)
def _imports(file: Path, package: str, _size: int, _changed: int) -> tuple[str, ...]:
    """The names that a file imports, cached by size and time of change."""
    return tuple(_names(file, package))


def _names(file: Path, package: str) -> Iterator[str]:
    """Absolute names of a file's imports; `from a import b` gives a and a.b."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _module(name: str) -> list[tuple[Path, str]]:
    """(file, package) of a module of this package or the user's; empty for others and for names inside a module."""
    if name.split(".")[0] != PACKAGE:
        return own_modules(name)
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:  # a name inside a module
        return []
    if spec is None or spec.origin is None:
        return []
    return [(Path(spec.origin), name if spec.submodule_search_locations else name.rpartition(".")[0])]


def own_modules(name: str) -> list[tuple[Path, str]]:
    """(file, package) of the user's own module of this name, found without importing it; empty if there is none."""
    top, *inner = name.split(".")
    root = _own_root(top)
    if root is None:
        return []
    path = root.joinpath(top, *inner)
    places = ((path.with_name(f"{path.name}.py"), name.rpartition(".")[0]), (path / "__init__.py", name))
    return [(file, package) for file, package in places if file.is_file()]


def _own_root(top: str) -> Path | None:
    """The folder of the user's own module or package `top`; None for the standard library and installed packages."""
    if not top or top in VERSIONED:
        return None
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):  # ValueError: `__main__`
        return None
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if spec is None or not (folders or spec.has_location):
        return None
    root = Path(folders[0]).parent if folders else Path(str(spec.origin)).parent
    library = sysconfig.get_path("stdlib")
    installed = root.is_relative_to(library) or not INSTALLED.isdisjoint(root.parts)
    return None if installed else root
