"""`python -m nait.neurons`: the directions a store holds are listed, shown, compared and given away."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nait.core.errors import DataError, StoreError
from nait.neurons.__main__ import main
from nait.neurons.directions import cosines
from nait.neurons.scorer import Nait
from nait.neurons.stored_directions import adopt_directions, open_directions, publish, read_directions
from nait.store import Artifact, Store, signed
from tests.families import LAYERS, pool, target
from tests.neurons.conftest import Open

MATH, CODE = target(name="math"), target(8, name="code", salt=7000)
Command = Callable[..., str]


@pytest.fixture(scope="module")
def store(opened: Open, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with directions of two targets, and of one of them at another site."""
    folder = tmp_path_factory.mktemp("store")
    Nait().directions(pool(), [MATH, CODE], opened(folder))
    Nait(site="mlp", components=2).directions(pool(), [MATH], opened(folder))
    return folder


@pytest.fixture
def command(store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command on the store; what it printed."""

    def run(*words: str, root: Path = store) -> str:
        monkeypatch.setattr(sys, "argv", ["nait.neurons", *words, "--store", str(root)])
        main()
        return capsys.readouterr().out

    return run


def find(opened: Open, store: Path, name: str, site: str = "residual") -> Artifact:
    (found,) = [
        one
        for one in opened(store).store.artifacts("directions")
        if one.manifest["target"] == name and one.manifest["key"]["reading"]["site"] == site
    ]
    return found


def test_list_has_a_line_for_each(command: Command, opened: Open, store: Path) -> None:
    lines = command("list").splitlines()
    assert len(lines) == 2 + 3
    assert lines[0].split() == [
        "address", "target", "rows", "kind", "site", "feature", "layers", "model", "created"
    ]  # fmt: skip
    math = find(opened, store, "math")
    (line,) = [line for line in lines if math.address in line]
    assert line.split()[1:7] == ["math", str(len(MATH)), "pca", "residual", "delta", str(LAYERS + 1)]


def test_list_of_an_empty_store_says_so(command: Command, tmp_path: Path) -> None:
    assert command("list", root=tmp_path) == "The store holds no directions.\n"


def test_list_of_a_store_that_is_not_there_is_an_error(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        command("list", root=tmp_path / "nowhere")
    assert stop.value.code == 2
    assert "there is no such store. Give --store FOLDER." in capsys.readouterr().err


def test_show_has_a_line_a_layer(command: Command, opened: Open, store: Path) -> None:
    artifact = find(opened, store, "math")
    lines = command("show", artifact.address[:10]).splitlines()
    assert lines[0].startswith(f"math: {len(MATH)} rows, pca")
    assert lines[1].split() == ["layer", "share", "1", "sign", "margin"]
    rows = [line.split() for line in lines[3:]]
    assert [row[0] for row in rows] == ["0", "1", "2", "3"]
    np.testing.assert_allclose([float(row[2]) for row in rows], artifact.manifest["sign_margin"], atol=1e-4)


def test_show_numbers_layers_from_the_sites_first_and_shows_each_component(
    command: Command, opened: Open, store: Path
) -> None:
    rows = command("show", str(find(opened, store, "math", "mlp").path)).splitlines()
    assert rows[1].split() == ["layer", "share", "1", "share", "2", "sign", "margin"]
    assert [row.split()[0] for row in rows[3:]] == ["1", "2", "3"]


def test_compare_shows_the_cosine_of_each_layer(command: Command, opened: Open, store: Path) -> None:
    a, b = (find(opened, store, name) for name in ("math", "code"))
    rows = [line.split() for line in command("compare", a.address, b.address).splitlines()[2:]]
    found = [read_directions({"x": str(one.path)})[0].derived[1] for one in (a, b)]
    assert [row[0] for row in rows] == ["0", "1", "2", "3"]
    np.testing.assert_allclose([float(row[1]) for row in rows], cosines(*found), atol=1e-4)


def test_published_directions_are_used_without_the_store(
    command: Command, opened: Open, store: Path, tmp_path: Path
) -> None:
    out = tmp_path / "given" / "math"
    assert command("publish", find(opened, store, "math").address, str(out)) == f"Written: {out}\n"
    (given,) = read_directions({"math": str(out)})
    x = opened(tmp_path / "elsewhere")
    table = Nait().score(pool(), [given], x)
    np.testing.assert_allclose(table.values, Nait().score(pool(), [MATH], x).values, rtol=1e-6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "zz"), r"0 directions begin with 'zz'. Known: [0-9a-f]{8}, "),
        (("show", ""), "0 directions begin with ''"),
        (("publish", "MATH", "."), "it exists already. Name a new folder."),
        (("compare", "MATH", "MLP"), "math and math: one has site=residual, the other site=mlp"),
    ],
)
def test_errors_say_what_is_wrong_and_end_with_code_2(
    words: tuple[str, ...], message: str, command: Command, opened: Open, store: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    places = {"MATH": find(opened, store, "math").address, "MLP": find(opened, store, "math", "mlp").address}
    with pytest.raises(SystemExit) as stop:
        command(*(places.get(word, word) for word in words))
    assert stop.value.code == 2
    spoken = capsys.readouterr().err
    assert spoken.startswith("nait: ")
    assert re.search(message, spoken)


def test_a_command_with_too_few_names_says_how_many(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command("compare", "aa")
    assert "compare takes 2 name(s)" in capsys.readouterr().err


def changed(source: Path, folder: Path, **changes: object) -> Path:
    """A copy of directions whose manifest has these changes, and a checksum of its own."""
    shutil.copytree(source, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    plain = {name: part for name, part in {**manifest, **changes}.items() if name != "checksum"}
    (folder / "manifest.json").write_text(json.dumps(signed(plain)))
    return folder


@pytest.mark.parametrize("place", ["../../../owned", "/tmp/n-owned", "..", "0" * 31 + "/"])
def test_directions_from_elsewhere_are_written_to_the_store_alone(
    place: str, opened: Open, store: Path, tmp_path: Path
) -> None:
    theirs = changed(find(opened, store, "math").path, tmp_path / "theirs", address=place)
    mine = Store(tmp_path / "mine")
    with pytest.raises(DataError, match="no address of an artifact"):
        adopt_directions(mine, theirs)
    assert {path.name for path in tmp_path.iterdir()} == {"theirs"}


@pytest.mark.parametrize(
    ("name", "value"), [("key", {"kind": "pca"}), ("target", 3), ("rows", "many"), ("sign_margin", {})]
)
def test_directions_with_a_wrong_manifest_are_refused(
    name: str, value: object, opened: Open, store: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="are damaged"):
        open_directions(changed(find(opened, store, "math").path, tmp_path / "theirs", **{name: value}))


def test_a_published_copy_has_no_file_that_a_link_leads_to(opened: Open, store: Path, tmp_path: Path) -> None:
    private, folder = tmp_path / "private", tmp_path / "mine"
    private.write_text("mine")
    shutil.copytree(find(opened, store, "math").path, folder)
    (folder / "notes.json").symlink_to(private)
    publish(folder, tmp_path / "public")
    assert {path.name for path in (tmp_path / "public").iterdir()} == {"manifest.json", "arrays.safetensors"}
    (folder / "arrays.safetensors").rename(tmp_path / "arrays")
    (folder / "arrays.safetensors").symlink_to(tmp_path / "arrays")
    with pytest.raises(StoreError, match="is a link"):
        publish(folder, tmp_path / "other")
