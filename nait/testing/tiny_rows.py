"""Pools and targets for the contract tests: rows of many lengths, some without a trainable answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from nait.core.dataset.examples import Example, Pool, Target, Turn, as_target, gather

WORDS = ("red", "green", "blue", "one", "two", "three", "sum", "sort", "list", "tree")


def tiny_pool(rows: int = 14) -> Pool:
    """`rows` rows with an answer, three without a trainable one (empty, blank, cut off), and a conversation."""
    examples = [Example(f"row{i:03d}", (_turn(i),), row=i) for i in range(rows)]
    hard = [Turn("Say nothing", ""), Turn("Say a blank", " \n"), Turn("long " * 40, "cut off")]
    examples += [Example(f"hard{i}", (turn,), row=rows + i) for i, turn in enumerate(hard)]
    talk = (Turn("Count", "one"), Turn("On", "two, three"))
    return gather("tiny", [*examples, Example("talk", talk, system="Be brief.", row=rows + len(hard))])


def _turn(i: int) -> Turn:
    picked = [WORDS[(i * 7 + j * 3) % len(WORDS)] for j in range(1 + (i * 5) % 9)]
    return Turn(f"Do {i}: {' '.join(picked)}", " ".join(reversed(picked)), "x y" if i % 4 == 0 else "")


def tiny_targets() -> list[Target]:
    """Two reference sets with four rows each."""
    return [_target("counts", 100), _target("sums", 7)]


def _target(name: str, salt: int) -> Target:
    turns = [Turn(f"Count {salt + i * i}", f"{salt + i * i} is the count of {i}") for i in range(4)]
    rows = [Example(f"{name}{i}", (turn,), subtask=f"part {i % 2}", row=i) for i, turn in enumerate(turns)]
    return as_target(gather(name, rows))


def turned(pool: Pool) -> Pool:
    """The pool as read from a file with its rows in reverse order."""
    rows = enumerate(sorted(pool.examples, key=lambda example: -example.row))
    again = gather(pool.name, [replace(example, row=row) for row, example in rows])
    return replace(pool, examples=again.examples)


@dataclass
class LabelledRows:
    """A pool's source whose rows carry a label; `asked` records the rows that were read."""

    label: str
    asked: list[int] = field(default_factory=list)

    def lines(self, rows: Sequence[int]) -> Iterator[str]:
        """The JSON text of these rows, with the label."""
        self.asked.extend(rows)
        return iter([f'{{"row": {row}, "label": "{self.label}"}}' for row in rows])
