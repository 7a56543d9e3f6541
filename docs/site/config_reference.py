"""The configuration reference: groups, options and keys of `conf/`, from the comments of its YAML files."""

from __future__ import annotations

import re
from pathlib import Path

KEY = re.compile(r"^(\s*)([\w@/]+):\s*(.*?)(?:\s+#\s(.*))?$")
HIDDEN = ("_target_", "_partial_", "defaults")


def reference(conf: Path) -> str:
    """The page, in Markdown."""
    parts = [
        "# Configuration reference",
        "A job is described by one option of each group and by single keys: `nait run GROUP=OPTION GROUP.KEY=VALUE`. "
        "`nait run --cfg job` prints the whole config of a job. An option lists the keys that it sets; those of an "
        "option that varies another one are the keys that differ.",
        "## The job",
        _option(conf / "run.yaml"),
    ]
    for folder in sorted(path for path in conf.iterdir() if path.is_dir() and any(path.glob("*.yaml"))):
        parts.append(f"## {folder.name}")
        parts += [
            f"### {folder.name}={path.stem}\n\n{_option(path)}" for path in sorted(folder.glob("*.yaml"))
        ]
    return "\n\n".join(parts) + "\n"


def _option(path: Path) -> str:
    """An option's description and a table of its keys."""
    lines = path.read_text(encoding="utf-8").splitlines()
    head = [line.lstrip("# ").rstrip() for line in lines[: _first_key(lines)] if line.startswith("# ")]
    described = " ".join(line for line in head if not line.startswith("@package"))
    rows = _keys(lines[_first_key(lines) :], group=path.parent.name if path.name != "run.yaml" else "")
    table = "\n".join(f"| `{key}` | {_cell(value)} | {note} |" for key, value, note in rows)
    varied = _varied(lines)
    parts = [described, varied, f"| key | value | |\n|---|---|---|\n{table}" if table else ""]
    return "\n\n".join(part for part in parts if part)


def _first_key(lines: list[str]) -> int:
    return next((i for i, line in enumerate(lines) if line and not line.startswith("#")), len(lines))


def _varied(lines: list[str]) -> str:
    """A sentence on the option that this one varies."""
    listed = [line.strip()[2:] for line in lines if re.match(r"^\s+- \w+$", line) and "_self_" not in line]
    return f"Varies `{listed[0]}`." if listed and any(line.startswith("defaults:") for line in lines) else ""


def _keys(lines: list[str], *, group: str) -> list[tuple[str, str, str]]:
    """Key, value and comment of each leaf."""
    path: list[tuple[int, str]] = []
    rows = []
    for line in lines:
        found = KEY.match(line)
        if not found or line.lstrip().startswith(("#", "-")):
            continue
        indent, name, value, note = len(found[1]), found[2], found[3].strip(), found[4] or ""
        while path and path[-1][0] >= indent:
            path.pop()
        path.append((indent, name))
        names = [one for _, one in path]
        if names[0] in HIDDEN or name in HIDDEN or names[0] == "hydra" or not value or value.startswith("#"):
            continue
        root = [group] if group and group not in ("experiment", "sweep") else []
        rows.append((".".join([*root, *names]), value, note.replace("|", "\\|")))
    return rows


def _cell(value: str) -> str:
    return "" if value == "???" else "`" + value.replace("|", "\\|") + "`"
