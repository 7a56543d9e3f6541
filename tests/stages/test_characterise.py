"""Laws of the characterise stage: a pool is read once, and comes back as it was read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nait.core.dataset.examples import Pool
from nait.core.dataset.traits import Traits
from nait.stages.describe_pool import characterise, read_traits
from nait.store import Store
from tests.families import pool


class Counting:
    """A describer of two topics that counts how often it reads."""

    def __init__(self, version: int = 1) -> None:
        self.version, self.read_rows = version, []

    def key(self) -> Mapping[str, Any]:
        return {"version": self.version}

    def read(self, rows: Pool) -> Traits:
        self.read_rows.append(len(rows))
        assert rows.source is None
        place = np.arange(len(rows))
        return Traits(
            rows.ids,
            {"topic": np.where(place % 2, "odd", "even")}, {"code": place < 3}, {"characters": place * 1.5},
        )  # fmt: skip


def test_traits_come_back_as_they_were_read(tmp_path: Path) -> None:
    rows, describer = pool(), Counting()
    families = [f"f{i % 3}" for i in range(len(rows))]
    found = read_traits(characterise(rows, describer, Store(tmp_path), given={"family": families}))
    wanted = describer.read(rows)
    assert found.ids == rows.ids
    assert found.labels["topic"].tolist() == wanted.labels["topic"].tolist()
    assert found.labels["family (given)"].tolist() == families
    assert found.marks["code"].tolist() == wanted.marks["code"].tolist()
    assert found.sizes["characters"].tolist() == wanted.sizes["characters"].tolist()


def test_a_pool_is_read_once(tmp_path: Path) -> None:
    describer = Counting()
    made = [characterise(pool(), describer, Store(tmp_path)) for _ in range(2)]
    assert describer.read_rows == [len(pool())]
    assert [one.fresh for one in made] == [True, False]


def test_what_changes_the_traits_changes_their_address(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made = [
        characterise(pool(), Counting(), store),
        characterise(pool(23), Counting(), store),
        characterise(pool(), Counting(2), store),
        characterise(pool(), Counting(), store, given={"family": ["f"] * len(pool())}),
        characterise(pool(), Counting(), store, given={"family": ["g"] * len(pool())}),
    ]
    assert len({one.address for one in made}) == len(made)


def test_a_killed_reading_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    describer = Counting()

    def killed(rows: Pool) -> Traits:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(describer, "read", killed)
        with pytest.raises(KeyboardInterrupt):
            characterise(pool(), describer, Store(tmp_path))
    assert Store(tmp_path).artifacts("traits") == []
    assert len(read_traits(characterise(pool(), describer, Store(tmp_path))).ids) == len(pool())
