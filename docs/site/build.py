"""Build the documentation site: `python docs/site/build.py OUT`. No network, and every warning is an error.

The pages are the Markdown files of this repository. They are copied into one source tree, in which a link from one
page to another leads to its page, and a link to a file that is not a page becomes the file's name. A script in
percent format is a page too, with its code in blocks. The configuration reference is generated from `conf/`, the page
of results from the rows of the leaderboard and from the published figures.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from config_reference import reference
from results_page import results

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
PAGES = {
    "docs/index.md": "index.md",
    "docs/examples/select_and_explain.py": "python.md",
    "README.md": "readme.md",
    "CONTRIBUTING.md": "contributing.md",
    "RELIABILITY.md": "reliability.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "baselines/README.md": "methods/baselines.md",
    "nait/neurons/README.md": "methods/nait.md",
    "nait/data/README.md": "data.md",
    "nait/nano/README.md": "nano.md",
    "nait/training/README.md": "training.md",
    "eval/README.md": "evaluation.md",
    "sweeps/validity/README.md": "validity.md",
    "benchmarks/README.md": "speed/benchmarks.md",
    "benchmarks/RESULTS.md": "speed/results.md",
    "community/README.md": "community/index.md",
    "community/method_template/README.md": "community/method-template.md",
    "community/leaderboard/README.md": "community/leaderboard.md",
    "community/leaderboard/TABLE.md": "community/entries.md",
}
"""File of the repository -> its page. Every other file of docs/*.md is a page of the same name."""


def pages() -> dict[Path, str]:
    """File -> page."""
    found = {ROOT / name: page for name, page in PAGES.items()}
    for path in sorted((ROOT / "docs").glob("*.md")):
        found.setdefault(path, path.name)
    return {path: page for path, page in found.items() if path.is_file()}


def text_of(path: Path) -> str:
    """The Markdown text of a page's file; of a script, its cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return text
    cells = re.split(r"^# %%(.*)\n", text, flags=re.MULTILINE)[1:]
    parts = []
    for kind, cell in zip(cells[::2], cells[1::2], strict=True):
        prose = re.sub(r"^# ?", "", cell.strip(), flags=re.MULTILINE)
        parts.append(prose if "markdown" in kind else f"```python\n{cell.strip()}\n```")
    return "\n\n".join(parts) + "\n"


def linked(text: str, path: Path, page: str, known: dict[Path, str], pictures: set[Path]) -> str:
    """The text of a file, with its links as its page needs them. Adds the pictures that it shows."""
    up = "../" * page.count("/")

    def link(found: re.Match[str]) -> str:
        shows, label, target = found.groups()
        place, _, anchor = target.partition("#")
        if "://" in target or not place:
            return found.group(0)
        goal = (path.parent / place).resolve()
        if shows or goal.suffix in (".svg", ".png"):
            pictures.add(goal)
            return f"{shows}[{label}]({up}pictures/{goal.name})"
        if goal in known:
            return f"[{label}]({up}{known[goal]}{'#' + anchor if anchor else ''})"
        return label if label.startswith("`") else f"`{label}`"

    return LINK.sub(link, text)


def write_sources(folder: Path) -> None:
    """Write the source tree of the site."""
    known, pictures = pages(), set[Path]()
    for path, page in known.items():
        goal = folder / page
        goal.parent.mkdir(parents=True, exist_ok=True)
        goal.write_text(linked(text_of(path), path, page, known, pictures), encoding="utf-8")
    (folder / "configuration.md").write_text(reference(ROOT / "conf"), encoding="utf-8")
    (folder / "results.md").write_text(results(ROOT), encoding="utf-8")
    (folder / "pictures").mkdir(exist_ok=True)
    for picture in pictures:
        shutil.copy(picture, folder / "pictures" / picture.name)
    shutil.copy(Path(__file__).with_name("conf.py"), folder / "conf.py")


def build(out: Path) -> int:
    """Build the site into `out`; the exit code of Sphinx."""
    from sphinx.cmd.build import main

    sources = out.with_name(out.name + "-sources")
    shutil.rmtree(sources, ignore_errors=True)
    write_sources(sources)
    return int(main(["-W", "--keep-going", "-q", "-b", "html", str(sources), str(out)]))


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1]).resolve()))
