"""Addresses: the sha256 of everything that determines an artifact's content.

Two computations share an address exactly when they must give the same numbers. An address therefore covers the
signal or recipe, its version, the fingerprints of model, template and examples, and the dtype, but never the batch
size, the device or the number of processes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ADDRESS_CHARS = 32


def canonical(value: Any) -> Any:
    """`value` as plain JSON types, equal for equal values: dataclasses become dicts, tuples become lists.

    Raises: TypeError for a type without a canonical form.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: canonical(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {str(k): canonical(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonical(v) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted(canonical(v) for v in value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no canonical form: {value!r}")


def canonical_json(value: Any) -> str:
    """One line of JSON: keys sorted, no spaces, non-ASCII characters unescaped."""
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def address(value: Any) -> str:
    """The content address of `value`: the first 32 hex digits of the sha256 of its canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:ADDRESS_CHARS]


def digest_lines(lines: Iterable[str]) -> str:
    """The address of an ordered stream of strings, in constant memory."""
    total = hashlib.sha256()
    for line in lines:
        raw = line.encode()
        total.update(len(raw).to_bytes(8, "little"))
        total.update(raw)
    return total.hexdigest()[:ADDRESS_CHARS]


def digest_file(path: Path) -> str:
    """The full sha256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def unit_interval(*parts: object) -> float:
    """A number in [0, 1) that depends only on `parts`: a seeded draw without generator state."""
    return _drawn(canonical_json(list(parts)))


def unit_intervals(*parts: object, keys: Iterable[str]) -> list[float]:
    """`unit_interval(*parts, key)` for each key; the shared prefix is serialised once."""
    head = "".join(canonical_json(part) + "," for part in parts)
    quoted = json.JSONEncoder(ensure_ascii=False).encode
    return [_drawn(f"[{head}{quoted(key)}]") for key in keys]


def _drawn(text: str) -> float:
    raw = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(raw[:7], "big") / 2**56
