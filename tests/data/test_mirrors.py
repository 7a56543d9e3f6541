"""Laws of mirrors: the README names the files, which are read in place; files outside are never read."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nait.core.errors import ConfigError, DataError
from nait.data.files.mirrors import mirrored_files
from nait.data.files.sources import hub_source
from nait.data.pools import read_hub_pool

README = """---
license: mit
configs:
- config_name: main
  data_files:
  - split: train
    path: "main/train-*"
  - split: test
    path: [main/test.jsonl]
- config_name: flat
  default: true
  data_files: "flat/*.csv"
---
# A set
"""


def row(i: int) -> dict[str, str]:
    return {"question": f"{i} + 1?", "answer": str(i + 1)}


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror" / "owner" / "set"
    for name in ("main", "flat"):
        (folder / name).mkdir(parents=True)
    (folder / "README.md").write_text(README)
    for part in range(2):
        table = pa.Table.from_pylist([row(3 * part + i) for i in range(3)])
        pq.write_table(table, folder / "main" / f"train-0000{part}-of-00002.parquet")
    (folder / "main" / "test.jsonl").write_text(json.dumps(row(9)) + "\n{}\n")
    (folder / "flat" / "a.csv").write_text("question,answer\n1?,2\n")
    return tmp_path / "mirror"


def readme(mirror: Path, text: str) -> None:
    (mirror / "owner" / "set" / "README.md").write_text(text)


def test_the_parts_of_a_split_are_one_source(mirror: Path) -> None:
    source = hub_source("owner/set", subset="main", mirror=mirror)
    assert [(place.row, row) for place, row in source.rows()] == [(i, row(i)) for i in range(6)]
    assert [json.loads(line) for line in source.lines([4, 0])] == [row(4), row(0)]
    places = [str(place) for place, _ in source.rows()]
    assert places[4].endswith("train-00001-of-00002.parquet row 1 (counted from 0)")


def test_a_row_of_a_mirror_is_named_by_its_own_file(mirror: Path) -> None:
    with pytest.raises(DataError, match=r"main/test.jsonl line 2, field 'question': is missing"):
        read_hub_pool("owner/set", subset="main", split="test", mirror=mirror)


def test_the_default_subset_is_used_when_none_is_given(mirror: Path) -> None:
    assert [found for _, found in hub_source("owner/set", mirror=mirror).rows()] == [
        {"question": "1?", "answer": "2"}
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subset": "mian"}, r"README.md: there is no subset 'mian'. Did you mean 'main'\?"),
        ({"subset": "main", "split": "tset"}, r"README.md: there is no split 'tset'. Did you mean 'test'\?"),
        ({"repo": "owner/sett"}, r"the mirror has no 'owner/sett'. Did you mean 'owner/set'\?"),
        (
            {"revision": "main"},
            r"data.revision: cannot be combined with data.mirror.* Set data.revision=null",
        ),
        ({"mirror": "nowhere"}, r"nowhere: there is no such folder. Correct data.mirror"),
    ],
)
def test_the_error_for_a_missing_name_lists_the_names_in_the_mirror(
    mirror: Path, options: dict[str, str], message: str
) -> None:
    repo = options.pop("repo", "owner/set")
    with pytest.raises((DataError, ConfigError), match=message):
        hub_source(repo, **{"mirror": mirror, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "repo", ["../set", "/etc/passwd", "owner/..", "a/b/c", "./set", "", "owner\\set", "a/b\n"]
)
def test_a_repository_name_that_is_a_path_is_refused(mirror: Path, repo: str) -> None:
    for place in (mirror, None):
        with pytest.raises(ConfigError, match=r"(?s)data\.path: .* is not the name of a Hub data set"):
            hub_source(repo, mirror=place)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "---\nconfigs: main\n---\n",
            r"'configs:' block is not a list of subsets.* data=file data.path=FILE",
        ),
        ("---\nconfigs: [\n---\n", r"README.md: cannot be read"),
        ("---\nconfigs:\n- data_files: '../../secret.jsonl'\n---\n", r"'../../secret.jsonl' points outside"),
        ("---\nconfigs:\n- data_files: /etc/hosts\n---\n", r"'/etc/hosts' points outside"),
        ("---\nconfigs:\n- data_files: 'no/*.parquet'\n---\n", r"no file matches 'no/\*.parquet'. Download"),
        ("---\nconfigs:\n- data_dir: main\n---\n", r"'data_files' is not a list of \{split, path\}"),
        (
            "---\nconfigs:\n- {config_name: a}\n- {config_name: b}\n---\n",
            r"has several subsets. Set data.subset. Known: a, b",
        ),
    ],
)
def test_a_readme_without_usable_configs_is_an_error(mirror: Path, text: str, message: str) -> None:
    readme(mirror, text)
    with pytest.raises(DataError, match=message):
        hub_source("owner/set", mirror=mirror)


LAYOUTS = {
    "shards": [
        "data/train-00000-of-00002-0af.parquet", "data/train-00001-of-00002-1b.parquet",
        "data/gold-00000-of-00001.parquet", "x/test.parquet",
    ],
    "names": ["train.json", "test.json", "dataset_infos.json", ".cache/huggingface/train.json", "notes.txt"],
    "words": ["my_train_data.csv", "dev.csv", "eval-2.csv", "pretrain.csv"],
    "folders": ["train/a.jsonl", "sub/testing/b.jsonl", "val_1/test.jsonl", "c.jsonl"],
    "no word": ["databricks-dolly-15k.jsonl"],
    "two kinds": ["a.csv", "b.csv", "c.jsonl"],
    "a tie": ["a.csv", "b.parquet"],
}  # fmt: skip
"""Files of repositories whose README has no `configs:` block."""


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("head", ["", "---\nlicense: mit\ndataset_info:\n  splits:\n  - name: train\n---\n"])
def test_without_configs_the_names_of_the_files_decide_as_on_the_hub(
    tmp_path: Path, layout: str, head: str
) -> None:
    """The splits are those that `datasets` finds."""
    from datasets.data_files import DataFilesDict, get_data_patterns
    from datasets.load import infer_module_for_data_files_list

    folder = tmp_path / "owner" / "set"
    for name in LAYOUTS[layout]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "README.md").write_text(f"{head}# A set\n")
    hub = DataFilesDict.from_patterns(get_data_patterns(str(folder)), base_path=str(folder))
    kind = infer_module_for_data_files_list([one for files in hub.values() for one in files])[0]  # type: ignore[arg-type]
    kinds = {"json": (".json", ".jsonl"), "csv": (".csv",), "parquet": (".parquet",)}[str(kind)]
    wanted = {
        str(split): {Path(one).relative_to(folder).as_posix() for one in files if one.endswith(kinds)}
        for split, files in hub.items()
    }
    wanted = {split: names - {"dataset_infos.json"} for split, names in wanted.items() if names}
    for split, names in wanted.items():
        found = mirrored_files(tmp_path, "owner/set", subset=None, split=split)
        assert {path.relative_to(folder).as_posix() for path in found} == names
    with pytest.raises(
        DataError, match=f"README.md: there is no split 'other'. Known: {', '.join(sorted(wanted))}"
    ):
        mirrored_files(tmp_path, "owner/set", subset="default", split="other")


def test_without_configs_there_is_one_subset_and_at_least_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "owner" / "set"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("# A set")
    with pytest.raises(DataError, match=r"owner/set: there is no file of rows. Download its files."):
        hub_source("owner/set", mirror=tmp_path)
    (folder / "train.csv").write_text("question,answer\n1?,2\n")
    assert [found for _, found in hub_source("owner/set", mirror=tmp_path).rows()] == [
        {"question": "1?", "answer": "2"}
    ]
    with pytest.raises(
        DataError, match=r"no 'configs:' block and no folder 'main', so .* subset 'main'.* data.subset=null"
    ):
        hub_source("owner/set", subset="main", mirror=tmp_path)


def test_without_a_readme_names_decide_and_a_subset_is_a_folder(mirror: Path) -> None:
    card = mirror / "owner" / "set" / "README.md"
    card.unlink()
    assert len(list(hub_source("owner/set", subset="main", mirror=mirror).rows())) == 6
    assert len(list(hub_source("owner/set", mirror=mirror).rows())) == 6
    with pytest.raises(DataError, match=r"set: has no README.md with a 'configs:' block and no folder 'min'"):
        hub_source("owner/set", subset="min", mirror=mirror)
    card.symlink_to("nowhere.md")
    with pytest.raises(DataError, match=r"README.md: cannot be read"):
        hub_source("owner/set", mirror=mirror)


def test_a_file_that_two_patterns_match_is_read_once(mirror: Path) -> None:
    readme(mirror, "---\nconfigs:\n- data_files: ['main/train-*', 'main/train-00000*']\n---\n")
    assert len(list(hub_source("owner/set", mirror=mirror).rows())) == 6


BOMB = "\n".join(
    ["a: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40)]
)


@pytest.mark.parametrize(
    "text",
    [
        f"{BOMB}\nconfigs: [{{config_name: *a39, data_files: x}}]", "configs: " + "[" * 5000 + "]" * 5000,
        "configs: !!python/object/apply:os.system [touch owned]", "configs: 2001-99-99", "configs: !!int x",
    ],
    ids=["aliases that multiply", "a deep nesting", "a Python object", "no date", "no number"],
)  # fmt: skip
def test_a_hostile_readme_is_refused_at_once(mirror: Path, text: str) -> None:
    readme(mirror, f"---\n{text}\n---\n")
    with pytest.raises(DataError, match=r"README\.md: cannot be read"):
        hub_source("owner/set", mirror=mirror)
