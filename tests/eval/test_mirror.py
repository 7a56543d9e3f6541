"""Within the air gap data come from the mirror; outside it, everything is as before."""

from __future__ import annotations

from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

from nait.core.errors import ConfigError, DataError
from nait.eval.local_data import air_gap, split_files


def test_declared_configurations_name_their_files(mirror: Path) -> None:
    place = mirror / "toy" / "letters"
    assert split_files(place, "small") == {"test": (place / "small.parquet",)}
    assert split_files(place, "huge") == {}
    assert split_files(place, None) == {}
    assert split_files(mirror / "nobody" / "nothing", None) == {}


def test_a_card_that_changes_is_read_again(mirror: Path) -> None:
    place = mirror / "toy" / "letters"
    assert split_files(place, "small")
    (place / "README.md").write_text("---\nconfigs:\n- config_name: other\n  data_files: large.jsonl\n---\n")
    assert split_files(place, "small") == {}
    assert split_files(place, None) == {"train": (place / "large.jsonl",)}


@pytest.mark.parametrize("pattern", ["../*.jsonl", "/etc/*", "data/../../x.jsonl"])
def test_a_card_names_no_file_outside_its_folder(pattern: str, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "x.jsonl").write_text("{}")
    (tmp_path / "one/README.md").write_text(f"---\nconfigs:\n- data_files: {pattern}\n---\n")
    with pytest.raises(DataError, match=r"README\.md: data_files names .*not in the data set's folder"):
        split_files(tmp_path / "one", None)


def test_a_flipped_bit_in_a_table_of_the_mirror_is_noticed(mirror: Path, tmp_path: Path) -> None:
    file = mirror / "toy/letters/small.parquet"
    table = datasets.Dataset.from_parquet(str(file)).with_format("arrow")[:]
    pq.write_table(table, file, compression="none", use_dictionary=False, write_page_checksum=True)
    file.write_bytes(file.read_bytes().replace(b"Is 1", b"Is 3", 1))
    with air_gap(mirror, online=False, scratch=tmp_path), pytest.raises(OSError, match=r"(?i)checksum|crc"):
        datasets.load_dataset("toy/letters", "small")


def test_files_without_a_card_are_found_by_the_names_of_their_splits(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("train-0.parquet", "train-1.parquet", "dev.jsonl.gz", "notes.txt", "test.md"):
        (tmp_path / "data" / name).touch()
    found = split_files(tmp_path, None)
    assert {split: [path.name for path in paths] for split, paths in found.items()} == {
        "train": ["train-0.parquet", "train-1.parquet"],
        "validation": ["dev.jsonl.gz"],
    }


@pytest.mark.parametrize("config", ["small", "large"])
def test_the_mirror_answers_for_the_hub(mirror: Path, tmp_path: Path, config: str) -> None:
    with air_gap(mirror, online=False, scratch=tmp_path / "scratch"):
        rows = datasets.load_dataset("toy/letters", config)["test"]
        assert rows[1] == {"question": f"Is 1 {config}?", "answer": 1}
        assert len(datasets.load_dataset(path="toy/letters", name=config, split="test")) == len(rows)


def test_what_the_mirror_lacks_is_not_fetched(mirror: Path, tmp_path: Path) -> None:
    with air_gap(mirror, online=False, scratch=tmp_path / "scratch"):
        assert constants.HF_HUB_OFFLINE
        with pytest.raises(ConfigError, match="no configuration 'huge'"):
            datasets.load_dataset("toy/letters", "huge")
        with pytest.raises(OSError, match=r"nobody/nothing"):
            datasets.load_dataset("nobody/nothing")


def test_leaving_the_gap_puts_everything_back(mirror: Path, tmp_path: Path) -> None:
    before = datasets.load_dataset, constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    with pytest.raises(ValueError, match="inside"), air_gap(mirror, online=False, scratch=tmp_path):
        raise ValueError("inside")
    assert before == (datasets.load_dataset, constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE)
