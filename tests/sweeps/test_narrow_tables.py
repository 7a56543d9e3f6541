"""Tables that fit a terminal: every cell is shown, and no line is wider than asked."""

from __future__ import annotations

import pytest

from nait.sweeps.render.narrow_tables import blocks, terminal_table

HEADER = ["selector", "target", *(f"benchmark {i}" for i in range(8))]
BODY = [[f"method {row}", "math", *(f"0.{row}{i} ± 0.05" for i in range(8))] for row in range(3)]


@pytest.mark.parametrize("width", [40, 60, 100, 200])
def test_no_line_is_wider_and_every_cell_is_shown(width: int) -> None:
    text = terminal_table(HEADER, BODY, "simple", repeated=2, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert all(cell in text for row in BODY for cell in row)
    parts = text.split("\n\n")
    assert all(part.split() and part.lstrip().startswith("selector") for part in parts)
    assert (len(parts) == 1) == (width == 200)


def test_blocks_repeat_the_first_columns_and_hold_each_other_once() -> None:
    assert blocks([8, 4, 10, 10, 10], 2, 40) == [[0, 1, 2, 3], [0, 1, 4]]
    assert blocks([8, 4, 10, 10, 10], 2, 38) == [[0, 1, 2, 3], [0, 1, 4]]
    assert blocks([8, 4, 10, 10, 10], 2, 37) == [[0, 1, 2], [0, 1, 3], [0, 1, 4]]


def test_a_column_that_is_wider_than_the_line_is_shown_whole() -> None:
    assert blocks([8, 90, 5], 1, 40) == [[0, 1], [0, 2]]


def test_the_terminal_s_width_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    assert max(map(len, terminal_table(HEADER, BODY, "simple").splitlines())) <= 50


def test_without_rows_there_is_a_header_only() -> None:
    assert terminal_table(["a", "b"], [], "simple", width=80).split() == ["a", "b", "---", "---"]
