"""Laws of Hub data sets without a network: the cache is read, and anything else is one error within seconds."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from nait.core.errors import ConfigError, DataError
from nait.data.pools import read_hub_pool
from nait.hub.reachability import OFFLINE

REVISION = "a" * 40
ROWS = [{"instruction": f"question {i}", "output": f"answer {i}"} for i in range(3)]


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import datasets

    for name in OFFLINE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def cached(no_hub: None, tmp_path: Path) -> None:
    """The cache of `datasets` after one download of someone/tiny."""
    import datasets

    source, scratch = tmp_path / "train.jsonl", tmp_path / "scratch"
    source.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    datasets.load_dataset("json", data_files={"train": str(source)}, cache_dir=str(scratch))
    (info_file,) = scratch.rglob("dataset_info.json")
    info = {**json.loads(info_file.read_text()), "dataset_name": "tiny", "config_name": "default"}
    place = tmp_path / "cache" / "someone___tiny" / "default" / "0.0.0" / REVISION
    place.mkdir(parents=True)
    (place / "dataset_info.json").write_text(json.dumps(info))
    next(scratch.rglob("*.arrow")).rename(place / "tiny-train.arrow")


@pytest.mark.usefixtures("no_waiting")
def test_an_unavailable_data_set_is_one_error_at_once() -> None:
    with pytest.raises(DataError) as caught:
        read_hub_pool("someone/other")
    message = str(caught.value)
    assert message.startswith("data.path=someone/other: the split 'train' cannot be fetched: http:")
    assert "cannot be reached (" in message
    assert "it is not in the cache. Set data.mirror=FOLDER with a copy in FOLDER/someone/other" in message
    assert "HF_HUB_OFFLINE=1" in message
    assert "data=file data.path=FILE" in message


def test_the_variable_that_forbids_the_hub_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(
        DataError, match="cannot be fetched: HF_HUB_OFFLINE is set, and it is not in the cache"
    ):
        read_hub_pool("someone/other")


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize("offline", ["", "1"])
def test_a_set_that_was_fetched_before_is_read_from_the_cache(
    offline: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import datasets

    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    before = datasets.config.HF_HUB_OFFLINE
    with caplog.at_level(logging.WARNING):
        pool = read_hub_pool("someone/tiny")
    assert sorted(example.turns[0].answer for example in pool.examples) == [row["output"] for row in ROWS]
    assert ("from the cache" in caplog.text) is not bool(offline)
    assert before == datasets.config.HF_HUB_OFFLINE


@pytest.mark.usefixtures("cached")
def test_names_that_the_cache_does_not_have_are_reported() -> None:
    with pytest.raises(DataError, match=r"it cannot be read from the cache \(Unknown split \"tset\""):
        read_hub_pool("someone/tiny", split="tset")
    with pytest.raises(DataError, match=r"it cannot be read from the cache \(.*config 'main'"):
        read_hub_pool("someone/tiny", subset="main")


@pytest.mark.usefixtures("cached")
def test_the_cache_never_gives_another_revision_than_requested() -> None:
    assert len(read_hub_pool("someone/tiny", revision=REVISION)) == len(ROWS)
    with pytest.raises(ConfigError, match=rf"data\.revision=v2: the cache holds revision {REVISION}"):
        read_hub_pool("someone/tiny", revision="v2")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("pool.jsonl", "set data=file data.path=pool.jsonl"),
        ("https://huggingface.co/datasets/owner/name/tree/main", "Set data.path=owner/name."),
        ("hf://datasets/owner/name", "Set data.path=owner/name."),
    ],
)
def test_a_file_or_a_page_in_place_of_a_hub_name_is_answered(path: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_hub_pool(path)
    assert said in str(caught.value)
