"""The house's rules: no import climbs a floor, none is circular, each heavy library has one door."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WINGS = ("baselines", "eval", "sweeps")

# Each room and the rooms it may import. What is not named here may not be imported.
FLOORS: dict[str, set[str]] = {
    "core": set(),
    "energy": set(),
    "network": set(),
    "store": {"core", "energy"},
    "attempts": {"energy", "store"},
    "discard": {"core", "store"},
    "data": {"core", "network"},
    "tracking": {"core", "store"},
    "models": {"core", "store", "network"},
    "signals": {"core", "store", "attempts", "models"},
    "neurons": {"core", "store", "models", "signals"},
    "training": {"core", "store", "attempts", "models"},
    "nano": {"core", "models", "training"},
    "stages": {"core", "energy", "store", "models", "signals"},
    "provenance": set(),
    "planning": {"core", "store", "models", "signals", "stages"},
    "processes": {"core", "store"},
    "records": {"core"},
    "jobs": {
        "core",
        "energy",
        "store",
        "stages",
        "signals",
        "tracking",
        "planning",
        "processes",
        "records",
        "provenance",
    },
    "summaries": {"core", "store", "stages", "provenance"},
    "assembly": {"core", "store", "stages", "jobs", "processes"},
    "command": {"core"},
    "help": {"core", "conf"},
    "display": set(),
    "plugins": {"command"},
    "app": {"core", "neurons", "jobs", "assembly", "summaries", "display", "command"},
    "__main__": {"core", "app", "help", "processes", "command"},
}
HUB = set(FLOORS) - {
    "app",
    "__main__",
    "assembly",
    "jobs",
    "planning",
    "summaries",
    "processes",
    "records",
    "help",
    "display",
    "plugins",
    "command",
}

COMMAND = {
    f"nait/command/{name}.py" for name in ("explain", "jobs", "keys", "line", "options", "unknown", "words")
}
SOLE_IMPORTERS = {
    "wandb": {"nait/tracking/wandb.py"},
    "wandb_workspaces": {"nait/tracking/workspaces.py"},
    "lm_eval": {"eval/harness.py"},
    "hydra": {"nait/app.py", "nait/plugins/__init__.py", "nait/__main__.py", *COMMAND},
    "omegaconf": {"nait/app.py", "nait/plugins/__init__.py", "nait/__main__.py", *COMMAND},
    "peft": {"nait/training/adapter.py"},
    "sklearn": {"nait/data/topics.py"},
    "py3langid": {"nait/data/traits.py"},
    "pynvml": {"nait/energy.py"},
    "datasets": {
        "nait/data/hub.py",
        "eval/mirror.py",
        "eval/surroundings.py",
        "eval/tasks/nano/tasks.py",
    },
}
TORCH_FREE = ("nait/core", "nait/stages", "sweeps", "nait/jobs", "nait/store.py", "baselines/random.py")


def sources() -> list[Path]:
    folders = ["nait", *WINGS]
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    """The path from the root, with slashes."""
    return path.relative_to(ROOT).as_posix()


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    if parts[0] in WINGS:
        return parts[0]
    return Path(parts[1]).stem if len(parts) > 1 else parts[0]


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports anywhere in it, absolute."""
    package = [*path.relative_to(ROOT).parts[:-1]]
    if package and package[0] in WINGS:
        package = ["nait", *package]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            if module == "nait" or node.module is None:
                yield from (f"{module}.{alias.name}" for alias in node.names)


def rooms_imported(path: Path) -> set[str]:
    found = set()
    for module in imports(path):
        parts = module.split(".")
        if parts[0] == "nait" and len(parts) > 1:
            found.add(parts[1])
    return found - {room_of(path), "__version__"}


@pytest.mark.parametrize("path", [p for p in sources() if room_of(p) in FLOORS], ids=name_of)
def test_no_import_climbs_a_floor(path: Path) -> None:
    climbing = rooms_imported(path) - FLOORS[room_of(path)]
    assert not climbing, f"{name_of(path)} imports {climbing}"


@pytest.mark.parametrize("path", [p for p in sources() if room_of(p) in WINGS], ids=name_of)
def test_wings_import_the_hub_and_never_each_other(path: Path) -> None:
    strange = rooms_imported(path) - HUB
    assert not strange, f"{name_of(path)} imports {strange}"


def test_every_room_has_its_floor() -> None:
    rooms = {room_of(path) for path in sources()} - {"__init__", "py"} - set(WINGS)
    assert rooms == set(FLOORS)


def test_the_floors_are_not_circular() -> None:
    order: list[str] = []
    rest = dict(FLOORS)
    while rest:
        ground = [room for room, below in rest.items() if below - {"conf"} <= set(order)]
        assert ground, f"these rooms import each other: {sorted(rest)}"
        order += ground
        rest = {room: below for room, below in rest.items() if room not in ground}


@pytest.mark.parametrize("library", SOLE_IMPORTERS)
def test_each_heavy_library_has_its_doors(library: str) -> None:
    doors = {name_of(p) for p in sources() if any(m.split(".")[0] == library for m in imports(p))}
    extra = doors - SOLE_IMPORTERS[library]
    assert {door for door in extra if not door.startswith("eval/") or library != "lm_eval"} == set()


def test_torch_is_nowhere_in_the_torch_free_rooms() -> None:
    for path in sources():
        if name_of(path).startswith(TORCH_FREE):
            heavy = {m.split(".")[0] for m in imports(path)} & {"torch", "transformers", "peft"}
            assert not heavy, f"{name_of(path)} imports {heavy}"


def test_core_needs_the_standard_library_and_numpy_alone() -> None:
    for path in sources():
        if room_of(path) == "core":
            roots = {m.split(".")[0] for m in imports(path)}
            assert roots <= {*sys.stdlib_module_names, "numpy", "nait"}, name_of(path)


def test_only_conf_names_a_wing() -> None:
    for path in sources():
        if room_of(path) not in WINGS:
            assert not rooms_imported(path) & set(WINGS), name_of(path)


def test_the_package_list_is_the_folders() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {p.parent for p in sources() if p.name == "__init__.py"} | {ROOT / "conf"}
    found = set()
    for folder in folders:
        parts = folder.relative_to(ROOT).parts
        name = ".".join(parts if parts[0] == "nait" else ("nait", *parts))
        found.add("hydra_plugins.nait" if name == "nait.plugins" else name)
    assert listed == found


def test_nothing_unsafe_reads_a_file() -> None:
    for path in sources():
        text = path.read_text(encoding="utf-8")
        assert not {m.split(".")[0] for m in imports(path)} & {"pickle", "marshal", "shelve", "dill"}, (
            name_of(path)
        )
        assert "allow_pickle=True" not in text, name_of(path)
        opened = text.count("torch.load(")  # weights_only reads tensors and plain containers, no code
        assert opened == text.count("weights_only=True"), name_of(path)
        assert "yaml.load(" not in text, name_of(path)


def test_the_top_floors_import_in_an_instant() -> None:
    heavy = "{'torch','transformers','peft','wandb','lm_eval','datasets','matplotlib','pandas','sklearn','py3langid'}"
    top = "nait.app, nait.jobs.job, nait.assembly, nait.summaries, nait.help"
    code = f"import sys, {top}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
