"""Fingerprints cover the content of every file that opening a model reads, and hash each file once."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import time
from pathlib import Path

import pytest

from nait.core.addresses import address, digest_file
from nait.core.errors import ModelError
from nait.models.checkpoint import file_hashes as digests
from nait.models.checkpoint.file_hashes import file_digests
from nait.models.loading import LocalModel
from tests.families import save


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model"))


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files changed just now count as settled."""
    monkeypatch.setattr(digests, "SETTLED_NS", -1)


def write(file: Path, text: str, *, changed: int) -> Path:
    """Write the file with this text and mtime."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    os.utime(file, (changed, changed))
    return file


def digests_of(file: Path, memory: Path | None = None) -> str:
    return file_digests({file.name: file}, memory)[file.name]


def test_a_fingerprint_is_the_hash_of_file_digests_by_name(folder: Path) -> None:
    files = {path.name: digest_file(path) for path in folder.iterdir()}
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"} < set(files)
    assert LocalModel(str(folder), max_length=64).fingerprint == address({"files": files, "dtype": "auto"})
    (folder / "notes.txt").write_text("not read")
    (folder / "README.md").write_text("not read")
    assert LocalModel(str(folder), max_length=64).fingerprint == address({"files": files, "dtype": "auto"})


@pytest.mark.parametrize(
    ("name", "fingerprint"),
    [
        ("stories260K", "46781f4859029aab01f244ee20bd5152"),
        ("stories260K-fp32", "097ddba2956951679b477592db2e89c3"),
        ("babyllama-105", "f0322c3d073bb201864d8302eae76aae"),
    ],
)
def test_fingerprints_in_existing_stores_stay_valid(shared, name: str, fingerprint: str) -> None:  # type: ignore[no-untyped-def]
    assert LocalModel(str(shared("models") / name), max_length=64).fingerprint == fingerprint


@pytest.mark.parametrize(
    "name",
    [
        "generation_config.json",
        "special_tokens_map.json",
        "chat_template.jinja",
        "additional_chat_templates/tool.jinja",
        "tokenizer.model",
        "vocab.json",
        "vocab.txt",
        "merges.txt",
        "added_tokens.json",
        "qwen.tiktoken",
        "tekken.json",
    ],
)
def test_a_fingerprint_changes_with_every_file_that_opening_reads(name: str, folder: Path) -> None:
    before = LocalModel(str(folder), max_length=64).fingerprint
    write(folder / name, "{} ", changed=1)
    first = LocalModel(str(folder), max_length=64).fingerprint
    write(folder / name, " {}", changed=1)
    assert len({before, first, LocalModel(str(folder), max_length=64).fingerprint}) == 3


@pytest.mark.parametrize("name", ["modeling_own.py", "parts/layers.py", "parts/deep/norm.py"])
def test_model_code_is_in_the_fingerprint_where_it_is_run(name: str, folder: Path) -> None:
    def fingerprint(*, trusted: bool) -> str:
        return LocalModel(str(folder), max_length=64, trust_remote_code=trusted).fingerprint

    write(folder / name, "a = 1", changed=1)
    first, untrusted = fingerprint(trusted=True), fingerprint(trusted=False)
    write(folder / name, "a = 2", changed=1)
    assert fingerprint(trusted=True) != first
    assert fingerprint(trusted=False) == untrusted


def test_shards_in_sub_folders_are_in_the_fingerprint(folder: Path) -> None:
    (folder / "parts").mkdir()
    (folder / "model.safetensors").rename(folder / "parts" / "one.safetensors")
    index = {"weight_map": {"lm_head.weight": "parts/one.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    before = digests_by_name(folder)
    assert "parts/one.safetensors" in before
    with (folder / "parts" / "one.safetensors").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\x01")
    assert digests_by_name(folder)["parts/one.safetensors"] != before["parts/one.safetensors"]


def digests_by_name(folder: Path) -> dict[str, str]:
    from nait.models.checkpoint.model_files import files_read

    return file_digests(files_read(folder))


@pytest.mark.usefixtures("settled")
def test_other_weights_of_the_same_size_and_time_are_noticed(folder: Path, tmp_path: Path) -> None:
    memory = str(tmp_path / "store" / "fingerprints.json")
    weights = folder / "model.safetensors"
    before = LocalModel(str(folder), max_length=64, fingerprints=memory).fingerprint
    facts, other = weights.stat(), bytearray(weights.read_bytes())
    other[-1] ^= 1
    swapped = tmp_path / "other.safetensors"
    swapped.write_bytes(other)
    os.utime(swapped, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    swapped.replace(weights)  # as rsync -t, tar and cp -p leave it
    assert (weights.stat().st_size, weights.stat().st_mtime_ns) == (facts.st_size, facts.st_mtime_ns)
    assert LocalModel(str(folder), max_length=64, fingerprints=memory).fingerprint != before
    first = weights.stat()
    time.sleep(0.02)  # more than a tick of the file system's clock
    weights.write_bytes(bytes(reversed(other)))  # in place: the same inode
    os.utime(weights, ns=(first.st_atime_ns, first.st_mtime_ns))
    assert digests_of(weights, Path(memory)) == digest_file(weights)


@pytest.mark.usefixtures("settled")
def test_a_cached_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, memory = write(tmp_path / "a", "one", changed=1), tmp_path / "store" / "fingerprints.json"
    first = digests_of(file, memory)
    read: list[Path] = []
    monkeypatch.setattr(digests, "digest_file", lambda path: read.append(path) or digest_file(path))
    assert digests_of(file, memory) == first
    assert not read
    file.rename(tmp_path / "b")  # its name is not its identity, its status change is
    assert digests_of(tmp_path / "b", memory) == first
    assert len(read) == 1


def test_a_file_changed_just_now_is_not_cached(tmp_path: Path) -> None:
    memory = tmp_path / "fingerprints.json"
    digests_of(write(tmp_path / "a", "one", changed=1), memory)
    assert not memory.exists()


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("damage", ["", "{", "[1]", '{"/models/a|3|1000": "' + "0" * 64 + '"}'])
def test_a_damaged_or_older_cache_is_rewritten(damage: str, tmp_path: Path) -> None:
    file, memory = write(tmp_path / "a", "one", changed=1), tmp_path / "fingerprints.json"
    memory.write_text(damage)
    assert digests_of(file, memory) == digest_file(file)
    assert list(json.loads(memory.read_text()).values()) == [digest_file(file)]


def _digest_many(folder: Path, number: int, memory: Path) -> None:
    digests.SETTLED_NS = -1
    for i in range(10):
        digests_of(write(folder / f"{number}-{i}", f"{number} {i}", changed=1), memory)


def test_processes_that_share_a_cache_lose_no_entry(tmp_path: Path) -> None:
    memory = tmp_path / "fingerprints.json"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_digest_many, args=(tmp_path, i, memory)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert len(json.loads(memory.read_text())) == 40


def test_a_model_that_changes_after_its_fingerprint_is_not_opened(folder: Path) -> None:
    model = LocalModel(str(folder), max_length=64)
    before = model.fingerprint
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 0.5}))
    for open_part in (model.load_network, model.load_tokenizer):
        with pytest.raises(ModelError, match=r"config\.json: has changed since this run first read it"):
            open_part()
    assert LocalModel(str(folder), max_length=64).fingerprint != before


def test_changed_permissions_are_not_a_change(folder: Path) -> None:
    model = LocalModel(str(folder), max_length=64)
    before = model.fingerprint
    (folder / "model.safetensors").chmod(0o600)
    os.link(folder / "config.json", folder / "copy-of-config")
    model.load_tokenizer()
    assert LocalModel(str(folder), max_length=64).fingerprint == before


@pytest.mark.parametrize("alone", [False, True])
def test_a_folder_with_an_adapter_is_refused_with_advice(alone: bool, folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/base"}')
    if alone:
        for name in ("config.json", "model.safetensors"):
            (folder / name).unlink()
    with pytest.raises(ModelError, match=r"holds an adapter.*merge_and_unload"):
        LocalModel(str(folder), max_length=64)
