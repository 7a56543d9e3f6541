"""Every command of the documents parses and composes, or the document says why it is not checked."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from nait.cli.command.command_line import hydra_line, split
from nait.cli.command.config_groups import compose, loader_of
from nait.cli.command.sweep_jobs import expand
from nait.cli.help import replace_null
from nait.cli.subcommands.main_app import app, command_names, work_of
from nait.core.errors import NaitError

ROOT = Path(__file__).resolve().parents[2]
WRONG = (NaitError, HydraException, OmegaConfBaseException, AssertionError, SystemExit)
BLOCK = re.compile(
    r"(?:<!-- not run: ([^>]+) -->\s*)?^```(?:bash|sh|shell|console)\n(.*?)^```", re.DOTALL | re.MULTILINE
)
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`((?:nait|make|torchrun|[A-Z_]+=\d+ torchrun) [^`]+|pip install '?nait[^`]+)`")
PLACEHOLDERS = ("KEY=VALUE", "=NAME", "=[NAME]")
"""Words of a command's pattern, which the reader replaces by an option."""
READERS_MODEL = ["model=local", "model.path=MODEL_FOLDER"]
"""The words that `...` in a command leaves to the reader."""


def documents() -> list[Path]:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "*.md"], capture_output=True, text=True, check=False
    ).stdout.split()
    return [ROOT / name for name in listed if name != "CHANGELOG.md"] or [ROOT / "README.md"]


def commands(text: str) -> list[str]:
    """The commands of shell blocks without a mark, and those in backticks; patterns are left out."""
    blocks = [block.replace("\\\n", " ") for mark, block in BLOCK.findall(text) if not mark]
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    inline = [" ".join(found.split()) for found in INLINE.findall(FENCED.sub("", text))]
    found = [line for line in [*lines, *inline] if line and not line.startswith("#")]
    return [line for line in found if not any(word in line for word in PLACEHOLDERS)]


def check(command: str, *, composing: bool) -> None:
    """Raises: one of WRONG for a command that does not work as written."""
    words = shlex.split(command, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    if words[0] == "torchrun":
        words = words[words.index("-m") + 1 :] if "-m" in words else ["nait"]
    if words[0] == "nait":
        check_nait(words[1:], composing=composing)
    elif words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert set(words[1:]) <= set(targets), command
    else:
        extras = {
            name for word in words for part in re.findall(r"nait\[(.+)\]", word) for name in part.split(",")
        }
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert words[:2] == ["pip", "install"], f"neither checked nor marked: {command}"
        assert extras, f"neither checked nor marked: {command}"
        assert extras <= set(project["optional-dependencies"]), command


def check_nait(words: list[str], *, composing: bool) -> None:
    if is_name(words):
        return
    if words[:1] == ["leaderboard"]:
        from nait.sweeps.__main__ import _parser

        _parser().parse_args(words[1:])
    elif words and words[0] in command_names() and words[0] != "run":
        work_of(words)
    elif words and words[0] not in {"--help", "--version", "--install-completion"} and "--help" not in words:
        check_job(tuple(words[words[0] == "run" :]), composing=composing)


def is_name(words: list[str]) -> bool:
    """Whether the words only name a command, such as `nait store push` in a sentence."""
    node: Any = typer.main.get_command(app)
    for word in words:
        node = getattr(node, "commands", {}).get(word)
        if node is None:
            return False
    return bool(words)


@cache
def check_job(words: tuple[str, ...], *, composing: bool) -> None:
    """Compose a job, or the base and the first job of a sweep; without `composing`, only parse its words."""
    if importlib.util.find_spec("hydra_plugins.hydra_ray_launcher") is None:  # an extra with its own config
        words = tuple(word for word in words if not re.match(r"\+?hydra[./]launcher(=ray|\.ray\.)", word))
    elided = "..." in words and not any(word.startswith("model=") for word in words)
    line = split(
        replace_null([*(READERS_MODEL if elided else []), *(word for word in words if word != "...")])
    )
    if not composing or line.flags.config_dir:  # a folder of the reader's
        return
    loader = loader_of()
    line = hydra_line(line, loader)
    base = compose(loader, line.words)
    if not line.flags.cfg and (line.flags.multirun or str(base.hydra.mode).endswith("MULTIRUN")):
        swept = [f"{key}={value}" for key, value in (base.hydra.sweeper.params or {}).items()]
        compose(loader, expand(loader, base, [*swept, *base.hydra.overrides.task]).overrides[0])


def wrong(document: Path, *, composing: bool) -> list[str]:
    found = []
    for command in commands(document.read_text(encoding="utf-8")):
        try:
            check(command, composing=composing)
        except WRONG as error:
            found.append(f"{command}: {error}")
    return found


def test_every_command_of_the_documents_parses_or_is_marked() -> None:
    assert {path.name: found for path in documents() if (found := wrong(path, composing=False))} == {}


@pytest.mark.slow
@pytest.mark.parametrize("document", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_job_of_a_document_composes(document: Path) -> None:
    assert wrong(document, composing=True) == []


def test_no_document_names_a_checkouts_own_commands() -> None:
    assert [path.name for path in documents() if ".venv/bin/" in path.read_text(encoding="utf-8")] == []


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "command",
    [
        "nait select pool.jsonl --lik refs",
        "nait slector=nait",
        "make quick",
        "pip install 'nait[none]'",
        "ls",
    ],
)
def test_a_wrong_command_is_found(command: str) -> None:
    with pytest.raises(WRONG):
        check(command, composing=True)


def test_a_marked_block_is_left_out() -> None:
    assert commands("<!-- not run: needs a GPU -->\n```bash\nls\n```\n```bash\nmake test\n```\n") == [
        "make test"
    ]
