"""The house's rules: no import climbs a floor, none is circular, each heavy library has one door."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.no_cover  # these tests read the code and run none of it
WINGS = ("baselines", "eval", "sweeps")

# Each room and the rooms it may import. What is not named here may not be imported.
FLOORS: dict[str, set[str]] = {
    "core": set(),
    "hub": {"core"},
    "store": {"core"},
    "data": {"core", "hub"},
    "tracking": {"core", "store"},
    "models": {"core", "store", "hub"},
    "signals": {"core", "store", "models"},
    "neurons": {"core", "store", "models", "signals"},
    "training": {"core", "store", "models"},
    "nano": {"core", "models", "training"},
    "stages": {"core", "store", "models", "signals"},
    "planning": {"core", "store", "models", "signals", "stages"},
    "testing": {"core", "store", "tracking", "models", "signals", "stages"},
    "publishing": {"core", "store", "hub"},
    "runs": {"core", "store", "tracking", "models", "signals", "stages", "planning"},
    "cli": {"core", "store", "data", "neurons", "stages", "tracking", "publishing", "runs", "conf"},
    "api": {"core", "store", "data", "signals", "stages", "cli"},
    "__main__": {"core", "store", "runs", "cli"},
}
HUB = set(FLOORS) - {"planning", "testing", "publishing", "runs", "cli", "api", "__main__"}

SOLE_IMPORTERS = {
    "wandb": {"nait/tracking/wandb"},
    "wandb_workspaces": {"nait/tracking/wandb/workspaces.py"},
    "lm_eval": {
        "eval/harness.py",
        "eval/built_tasks.py",
        "eval/language_model/shared_prefix.py",
        "eval/language_model/requests/split_requests.py",
        "eval/language_model/servers/server_model.py",
    },
    "hydra": {"nait/cli"},
    "omegaconf": {"nait/cli"},
    "typer": {"nait/cli/subcommands"},
    "peft": {"nait/training/adapters"},
    "sklearn": {"nait/data/text_traits/topics.py", "baselines/shared/warmup.py"},
    "py3langid": {"nait/data/text_traits/text_traits.py"},
    "pynvml": {"nait/store/energy.py"},
    "datasets": {
        "nait/data/files/sources.py",
        "nait/hub/splits.py",
        "nait/api/selected_rows.py",  # the type of an argument
        "eval/local_data.py",
        "eval/isolation.py",
        "eval/tasks/nano/tasks.py",
    },
}
TORCH_FREE = ("nait/core", "nait/stages", "sweeps", "nait/runs", "nait/store", "baselines/controls/random.py")

MOST_IN_A_ROOM = 9
MOST_FLOORS = 9
LARGEST_SHARE = 0.2
SHARED_NAMES = {
    "pools": "both make pools: from files, and from the embedded world",
}
"""Module names that two rooms share, each with the one idea behind them."""


@cache
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


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Every module a file imports anywhere in it, absolute."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    package = [*path.relative_to(ROOT).parts[:-1]]
    if package and package[0] in WINGS:
        package = ["nait", *package]
    for node in ast.walk(tree(path)):
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


def test_sub_rooms_of_a_room_do_not_import_each_other_in_a_circle() -> None:
    below: dict[str, set[str]] = {}
    for path in sources():
        inside = path.relative_to(ROOT).with_suffix("").parts
        here = inside if inside[0] == "nait" else ("nait", *inside)
        for module in imports(path):
            there = tuple(module.split("."))
            if min(len(here), len(there)) > 3 and here[1] == there[1] and here[2] != there[2]:
                below.setdefault(".".join(here[:3]), set()).add(".".join(there[:3]))
    while below:
        free = {room for room, others in below.items() if not others & set(below)}
        assert free, f"these sub-rooms import each other: {sorted(below)}"
        below = {room: others for room, others in below.items() if room not in free}


def visible(room: Path) -> list[str]:
    """What a reader of a room sees: its modules and its sub-rooms, without `__init__` and other dunder files."""
    names = [path.name for path in room.glob("*.py") if not path.name.startswith("__")]
    return names + [path.parent.name for path in room.glob("*/__init__.py")]


ROOMS = sorted({path.parent for path in sources() if path.parent != ROOT / "nait"})


@pytest.mark.parametrize("room", ROOMS, ids=name_of)
def test_a_room_shows_nine_things_at_most(room: Path) -> None:
    assert len(visible(room)) <= MOST_IN_A_ROOM, visible(room)


def test_the_house_shows_rooms_only() -> None:
    files = {path.name for path in (ROOT / "nait").iterdir() if path.is_file()}
    assert files == {"__init__.py", "__main__.py", "py.typed"}


def test_two_modules_share_a_name_only_for_one_idea() -> None:
    seen: dict[str, set[str]] = {}
    for path in sources():
        if not path.name.startswith("__"):
            seen.setdefault(path.stem, set()).add(name_of(path))
    twice = {name: places for name, places in seen.items() if len(places) > 1}
    assert set(twice) == set(SHARED_NAMES), twice


def test_no_two_public_classes_share_a_name() -> None:
    seen: dict[str, set[str]] = {}
    for path in sources():
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                seen.setdefault(node.name, set()).add(name_of(path))
    assert {name: places for name, places in seen.items() if len(places) > 1} == {}


def heights() -> dict[str, int]:
    """The floor of each room: one above the highest room that it may import."""
    height: dict[str, int] = {}
    rest = {room: below - {"conf"} for room, below in FLOORS.items()}
    while rest:
        for room in [room for room, below in rest.items() if below <= set(height)]:
            height[room] = 1 + max((height[one] for one in rest.pop(room)), default=0)
    return height


def room_table() -> str:
    """The rooms from the top floor to the ground, as CONTRIBUTING.md shows them."""
    lines = ["| floor | room | what it holds | shows |", "|---|---|---|---|"]
    rooms = [(floor, f"nait/{room}") for room, floor in heights().items() if room != "__main__"]
    for floor, room in [(0, wing) for wing in WINGS] + sorted(rooms, key=lambda one: (-one[0], one[1])):
        text = ast.get_docstring(tree(ROOT / room / "__init__.py")) or ""
        inside = ", ".join(sorted(name.removesuffix(".py") for name in visible(ROOT / room)))
        lines.append(f"| {floor or 'wing'} | `{room}` | {text.splitlines()[0]} | {inside} |")
    return "\n".join(lines)


def test_there_are_nine_floors_at_most() -> None:
    assert max(heights().values()) <= MOST_FLOORS


def test_contributing_shows_the_rooms_as_they_are() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert room_table() in text, f"The table of rooms in CONTRIBUTING.md should be:\n\n{room_table()}"


def test_no_room_holds_more_than_a_fifth_of_the_lines() -> None:
    lines: dict[str, int] = {}
    for path in sources():
        count = len(path.read_text(encoding="utf-8").splitlines())
        lines[room_of(path)] = lines.get(room_of(path), 0) + count
    assert max(lines.values()) <= LARGEST_SHARE * sum(lines.values()), lines


@pytest.mark.parametrize("library", SOLE_IMPORTERS)
def test_each_heavy_library_has_its_doors(library: str) -> None:
    doors = {name_of(p) for p in sources() if any(m.split(".")[0] == library for m in imports(p))}
    assert doors, f"no file imports {library}"
    allowed = SOLE_IMPORTERS[library]
    assert {
        door for door in doors if not any(door == one or door.startswith(f"{one}/") for one in allowed)
    } == set()


def test_k_means_is_scikit_learns() -> None:
    for path in sources():
        others = {module for module in imports(path) if module.startswith("scipy.cluster")}
        assert not others, f"{name_of(path)} imports {others}; use sklearn.cluster"


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
        found.add("hydra_plugins.nait" if name == "nait.cli.plugins" else name)
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
    top = "nait.cli.app, nait.runs.execution, nait.runs.assembly, nait.runs.sweep_summary, nait.cli.help"
    code = f"import sys, {top}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
