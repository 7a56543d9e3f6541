"""Within the air gap data come from the mirror; outside it, everything is as before."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

from nait.core.errors import ConfigError, DataError
from nait.data.files.mirrors import mirrored_files
from nait.eval.harness import LmEval
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
    with pytest.raises(DataError, match=r"README\.md: '.*' points outside the data set's folder"):
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
    for name in ("train-0.jsonl", "train-1.jsonl", "dev.jsonl.gz", "notes.txt", "test.md"):
        (tmp_path / "data" / name).touch()
    found = split_files(tmp_path, None)
    assert {split: [path.name for path in paths] for split, paths in found.items()} == {
        "train": ["train-0.jsonl", "train-1.jsonl"],
        "validation": ["dev.jsonl.gz"],
    }


@pytest.mark.parametrize(
    "names",
    [
        {"test": "small/test/rows.jsonl", "validation": "small/val/rows.jsonl"},
        {"test": "small/gsm-test.jsonl", "train": "small/gsm-train.json"},
        {"test": "small/2024_testing.jsonl.gz"},
        {"test": "small/evaluation.ndjson"},
    ],
)
@pytest.mark.parametrize("card", [None, "# No list\n"])
def test_a_benchmark_finds_its_files_by_the_rules_of_pools(
    names: dict[str, str], card: str | None, tmp_path: Path
) -> None:
    place = tmp_path / "owner" / "set"
    for name in names.values():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).touch()
    if card:
        (place / "README.md").write_text(card)
    wanted = {split: (place / name,) for split, name in names.items()}
    assert split_files(place, "small") == wanted
    for split, files in wanted.items():
        assert mirrored_files(tmp_path, "owner/set", subset="small", split=split) == files
    assert split_files(place, "..") == split_files(place, "large") == {}


def test_a_split_without_one_of_its_listed_files_is_absent(mirror: Path) -> None:
    place = mirror / "toy" / "letters"
    files = "[small.parquet, absent.parquet]"
    (place / "README.md").write_text(
        f"---\nconfigs:\n- data_files:\n  - {{split: test, path: {files}}}\n  - {{path: large.jsonl}}\n---\n"
    )
    assert split_files(place, None) == {"train": (place / "large.jsonl",)}


def test_columns_of_a_tsv_file_are_separated_by_tabs(tmp_path: Path) -> None:
    (tmp_path / "hub/toy/letters").mkdir(parents=True)
    (tmp_path / "hub/toy/letters/test.tsv").write_text("question\tanswer\nIs 1, or 2?\t1\n")
    with air_gap(tmp_path / "hub", online=False, scratch=tmp_path / "scratch"):
        (row,) = datasets.load_dataset("toy/letters", split="test")
    assert row == {"question": "Is 1, or 2?", "answer": 1}


def test_the_error_for_absent_data_says_where_to_put_them(
    evaluator: Callable[..., LmEval], mirror: Path
) -> None:
    shutil.rmtree(mirror / "toy" / "letters")
    with pytest.raises(ConfigError, match=r"toy/letters needs small/test\.parquet .* or a README\.md whose"):
        evaluator().check()
    (mirror / "toy/letters/small").mkdir(parents=True)
    (mirror / "toy/letters/small/test.jsonl").write_text('{"question": "Is 1?", "answer": 0}\n')
    evaluator(tasks=["toy_small"]).check()


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
