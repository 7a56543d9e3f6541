"""Run benchmarks, print each result line and a final table, and update results.json and RESULTS.md.

Without arguments: all small benchmarks and, on a machine with a GPU, the GPU ones. With a name and options: that
benchmark, for example `python -m benchmarks memory --rows 5000`. A line replaces an older one of the same name,
options and machine.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.page import document, table
from nait.store.provenance import provenance

SMALL: tuple[tuple[str, ...], ...] = (
    ("scoring",), ("scoring", "--model", "random:100m", "--rows", "8"), ("targets",), ("early_exit",),
    ("prefixes",), ("shared",), ("losses",), ("gradients",), ("tokenising",), ("memory",), ("layers",), ("store",),
    ("selection",), ("startup",), ("workers",), ("plan",), ("sweep",),
    ("training",), ("training", "--model", "random:100m", "--rows", "16"),
    ("evaluation",),
)  # fmt: skip
LARGE = ("--device", "cuda", "--dtype", "bfloat16", "--model", "random:7b")
ON_GPU: tuple[tuple[str, ...], ...] = (
    ("scoring", *LARGE, "--rows", "1000"), ("gradients", *LARGE, "--rows", "64", "--rank", "128"),
    ("memory", *LARGE, "--rows", "200"), ("training", *LARGE, "--rows", "64"),
)  # fmt: skip
WRONG_OPTION = 2
"""The exit status of argparse."""
PACKAGES = ("torch", "transformers", "tokenizers", "numpy")
RESULTS = Path(__file__).with_name("RESULTS.md")
KEPT = Path(__file__).with_name("results.json")

Line = Mapping[str, Any]


def main() -> None:
    """Run the requested benchmarks."""
    check_name(*sys.argv[1:2])
    asked = [tuple(sys.argv[1:])] if len(sys.argv) > 1 else [*SMALL, *(ON_GPU if _gpu() else ())]
    lines = []
    for call in asked:
        lines.append(line := run(call))
        print(json.dumps({key: value for key, value in line.items() if key != "machine"}), flush=True)
        kept = keep(json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else [], line)
        KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        RESULTS.write_text(document(kept), encoding="utf-8")
    print(f"\n{table(lines)}", file=sys.stderr)


def check_name(name: str = SMALL[0][0]) -> None:
    """Exits with the help, or with the names of the benchmarks, unless `name` is one of them."""
    modules = {path.stem: path.read_text("utf-8") for path in Path(__file__).parent.glob("[!_]*.py")}
    names = sorted(
        stem for stem, text in modules.items() if "def main(" in text and "benchmarks.lines" in text
    )
    known = f"Benchmarks: {', '.join(names)}."
    if name in ("-h", "--help"):
        print(f"{__doc__}\n{known}")
        sys.exit()
    if name not in names:
        sys.exit(f"there is no benchmark '{name}'. {known}")


def run(call: Sequence[str]) -> Line:
    """One benchmark's line with date, machine and versions; if the benchmark fails, a line with its error.

    Exits, with the benchmark's own words, if it is asked for its help or refuses an option.
    """
    name, options = call[0], list(call[1:])
    busy, started = os.getloadavg()[0], time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *options], capture_output=True, text=True
    )
    if done.returncode == WRONG_OPTION or {"-h", "--help"} & set(options):
        print(done.stdout or done.stderr, end="", file=sys.stdout if done.stdout else sys.stderr)
        sys.exit(done.returncode)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        line: dict[str, Any] = {
            "name": name,
            "setting": " ".join(options),
            "met": False,
            "error": last(done.stderr),
        }
    else:
        line = json.loads(last(done.stdout))
    facts = {"benchmark_seconds": round(time.monotonic() - started), "load": round(busy, 1)}
    return {**line, **facts, "options": options, **circumstances(on_gpu="cuda" in options)}


def keep(kept: Sequence[Line], line: Line) -> list[Line]:
    """The kept lines, with `line` in place of its predecessor or at the end."""

    def key(one: Line) -> tuple[Any, ...]:
        return (one["name"], *one["options"], one["machine"])

    found = [line if key(one) == key(line) else one for one in kept]
    return found if line in found else [*found, line]


def last(text: str) -> str:
    """The last non-blank line."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def circumstances(*, on_gpu: bool = False) -> dict[str, str]:
    """Machine, package versions, date and commit."""
    found = provenance()
    versions = [f"{name} {found['versions'][name]}" for name in PACKAGES]
    git = found["git"] or {"commit": "no clone", "dirty": False}
    return {
        "machine": (_gpu() or "no GPU") if on_gpu else f"{_processor()}, {os.cpu_count()} cores",
        "versions": ", ".join([f"Python {platform.python_version()}", *versions]),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": git["commit"][:12] + (" with changes" if git["dirty"] else ""),
    }


def _gpu() -> str | None:
    """The first GPU's name."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if "model name" in line] if info.is_file() else []
    return names[0].split(":", 1)[1].strip() if names else platform.machine()


if __name__ == "__main__":
    main()
