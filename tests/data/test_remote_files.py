"""Pools at a URL: read as local files are, fetched once, and again when they have changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from nait.core.errors import DataError, NaitError
from nait.data.pools import read_pool, read_targets
from nait.hub import remote_files

ROWS = [{"instruction": f"q{i}", "output": f"a{i}"} for i in range(3)]


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()


def put(system: Any, place: str, rows: list[dict[str, str]]) -> None:
    system.pipe_file(place, "".join(json.dumps(row) + "\n" for row in rows).encode())


def test_a_file_at_a_url_is_read_and_fetched_once(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put(bucket, "/bucket/pool.jsonl", ROWS)
    assert len(read_pool("memory://bucket/pool.jsonl")) == 3
    monkeypatch.setattr(type(bucket), "get_file", lambda *_: pytest.fail("fetched again"))
    pool = read_pool("memory://bucket/pool.jsonl")
    assert pool.name == "pool"
    assert sorted(example.turns[0].instruction for example in pool.examples) == ["q0", "q1", "q2"]


def test_a_changed_file_is_fetched_again(bucket: Any) -> None:
    put(bucket, "/bucket/pool.jsonl", ROWS)
    read_pool("memory://bucket/pool.jsonl")
    put(bucket, "/bucket/pool.jsonl", ROWS[:2])
    assert len(read_pool("memory://bucket/pool.jsonl")) == 2


def test_a_listing_of_an_earlier_job_is_not_believed(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put(bucket, "/bucket/pool.jsonl", ROWS)
    info, listed = type(bucket).info, dict[str, Any]()

    def remembered(self: Any, path: str, **options: Any) -> Any:  # as s3fs and gcsfs do
        return listed.setdefault(path, info(self, path, **options))

    monkeypatch.setattr(type(bucket), "info", remembered)
    monkeypatch.setattr(type(bucket), "invalidate_cache", lambda *_: listed.clear())
    read_pool("memory://bucket/pool.jsonl")
    put(bucket, "/bucket/pool.jsonl", ROWS[:2])
    assert len(read_pool("memory://bucket/pool.jsonl")) == 2


def test_a_file_that_changes_while_it_is_fetched_is_not_kept(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bucket, "/bucket/pool.jsonl", ROWS)
    get_file = type(bucket).get_file

    def changing(self: Any, place: str, copy: str) -> None:
        get_file(self, place, copy)
        put(bucket, place, ROWS[:2])

    monkeypatch.setattr(type(bucket), "get_file", changing)
    with pytest.raises(DataError, match="it changed while it was copied"):
        read_pool("memory://bucket/pool.jsonl")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_an_error_of_the_services_own_client_is_one_clear_error(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoLoginError(Exception): ...

    def refused(*_: object, **__: object) -> None:
        raise NoLoginError("Unable to locate credentials")

    monkeypatch.setattr(type(bucket), "info", refused)
    with pytest.raises(
        DataError, match=r"cannot be fetched \(Unable to locate credentials\)\. Check the URL, the login"
    ):
        read_pool("memory://bucket/pool.jsonl")


def test_a_pattern_and_a_folder_are_one_pool(bucket: Any) -> None:
    put(bucket, "/bucket/shards/a-0.jsonl", ROWS[:1])
    put(bucket, "/bucket/shards/a-1.jsonl", ROWS[1:])
    bucket.pipe_file("/bucket/shards/README.md", b"# Shards")
    assert len(read_pool("memory://bucket/shards/a-*.jsonl", name="all")) == 3
    assert len(read_pool("memory://bucket/shards", name="all")) == 3
    assert len(read_targets({"math": "memory://bucket/shards/a-0.jsonl"})[0]) == 1


def test_what_cannot_be_fetched_is_one_clear_error(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"memory://bucket/none\.jsonl: cannot be fetched"):
        read_pool("memory://bucket/none.jsonl")
    with pytest.raises(DataError, match="there is no data file"):
        read_pool("memory://bucket/*.jsonl")

    def absent(url: str) -> Any:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", absent)
    with pytest.raises(NaitError, match=r"pip install s3fs"):
        remote_files.fetched_files("s3://bucket/a.jsonl", lambda _: True)
