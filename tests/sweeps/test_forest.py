"""The forest plot: which lines stand in it, where, and what marks the significant ones."""

from __future__ import annotations

from dataclasses import replace

from nait.sweeps.plots.cost_spots import costs
from nait.sweeps.plots.forest import MOST, OWN, forest, forest_plot
from nait.sweeps.reports.sections import compared
from nait.sweeps.stats.aggregates import Line
from nait.sweeps.stats.paired import Difference

LINE = Line(
    selector="nait", target="math", budget="10%", model="m", task="nano_math", metric="acc", value=0.5,
    half_width=0.1, seeds=3, n=100, selected_rows=10, answer_tokens=10, seconds_select=1.0, seconds_train=1.0,
    seconds_evaluate=1.0, device_hours=0.0, money=None, missing="", method="nait",
)  # fmt: skip


def line(
    selector: str, task: str, value: float, *, target: str = "math", members: tuple[str, ...] = ()
) -> Line:
    found = Difference(value, value - 0.05, value + 0.05, seeds=3, items=100, p=0.001, adjusted=0.01)
    method = selector.split(" ")[0]
    return replace(
        LINE, selector=selector, method=method, task=task, target=target, difference=found, members=members
    )


def test_lines_are_sorted_best_first_by_their_own_benchmark() -> None:
    lines = [
        line("a", "nano_math", 0.1), line("b", "nano_math", 0.3), line("c", "nano_math", -0.2),
        line("a", "nano_code", 0.9),
    ]  # fmt: skip
    found = forest(lines, {})
    assert found is not None
    assert found.names == ("b", "a", "c")
    assert list(found.panels) == ["nano_math", "nano_code"]
    assert [cell.value if cell else None for cell in found.panels["nano_code"]] == [None, 0.9, None]


def test_with_several_targets_each_line_meets_its_own_benchmark() -> None:
    lines = [
        line("a", task, value, target=target, members=members)
        for target, values in (("math", (0.4, -0.1, 0.15)), ("code", (-0.3, 0.2, -0.05)))
        for task, value, members in zip(
            ("nano_math", "nano_code", "nano"), values, ((), (), ("nano_math", "nano_code")), strict=True
        )
    ]
    found = forest(lines, {})
    assert found is not None
    assert found.names == ("a, math", "a, code")
    assert [cell.value for cell in found.panels[OWN] if cell] == [0.4, 0.2]
    assert [cell.value for cell in found.panels["nano"] if cell] == [0.15, -0.05]


def test_a_panel_where_lower_is_better_is_marked() -> None:
    lines = [
        replace(line(name, task, 0.1, target=target), higher_is_better=target == "math", seconds_select=2.0)
        for name in "ab"
        for target, task in (("math", "nano_math"), ("code", "nano_code"))
    ]
    found = forest(lines, {})
    assert found is not None
    assert list(found.panels) == [f"{OWN} (lower is better: nano_code)", "nano_code (lower is better)"]
    alone = forest([one for one in lines if one.target == "code"], {})
    assert alone is not None
    assert list(alone.panels) == ["nano_code (lower is better)"]
    assert list(costs(lines, {})) == ["nano_code (lower is better)", "nano_math"]


def test_a_mapping_says_which_benchmark_is_a_target_s_own() -> None:
    found = forest([line(name, "gsm8k", 0.1) for name in "ab"], {"math": "gsm8k"})
    assert found is not None
    assert list(found.panels) == ["gsm8k"]


def test_one_line_or_no_difference_gives_no_forest_plot() -> None:
    assert forest([line("a", "nano_math", 0.1)], {}) is None
    assert forest([replace(LINE, selector=name) for name in "ab"], {}) is None


def test_where_lower_is_better_the_lowest_is_first_and_coloured_as_better() -> None:
    lines = [line(name, "wikitext", value) for name, value in (("a", 0.4), ("b", -0.3))]
    turned = [
        replace(one, difference=replace(one.difference, higher_is_better=False))
        for one in lines
        if one.difference
    ]
    found = forest(turned, {})
    assert found is not None
    assert found.names == ("b", "a")
    (ax,) = forest_plot(found, "random").axes
    points = [one for one in ax.lines if one.get_marker() == "o"]
    better = forest(lines, {})
    assert better is not None
    (other,) = forest_plot(better, "random").axes
    wanted = [one.get_color() for one in other.lines if one.get_marker() == "o"]
    assert [point.get_color() for point in points] == wanted  # the first is better, the second worse


def test_too_many_lines_leave_the_best() -> None:
    found = forest([line(f"a k={k}", "nano_math", k / 100) for k in range(MOST + 5)], {})
    assert found is not None
    assert len(found.names) == MOST
    assert found.left_out == 5
    assert found.names[0] == f"a k={MOST + 4}"


def test_significant_points_are_coloured_and_others_hollow() -> None:
    unsure = replace(line("b", "nano_math", 0.02), difference=Difference(0.02, -0.03, 0.07, 3, 100, p=0.4))
    found = forest([line("a", "nano_math", 0.3), unsure], {})
    assert found is not None
    (ax,) = forest_plot(found, "random").axes
    points = [one for one in ax.lines if one.get_marker() == "o"]
    assert points[0].get_markerfacecolor() == points[0].get_color()
    assert points[1].get_markerfacecolor() != points[1].get_color()
    assert ax.get_xlabel() == "score minus random"


def test_one_seed_fills_no_point_and_the_axis_says_that_it_is_items_only() -> None:
    lines = [
        replace(line(name, "nano_math", 0.3), difference=Difference(0.3, 0.2, 0.4, 1, 100)) for name in "ab"
    ]
    found = forest(lines, {})
    assert found is not None
    (ax,) = forest_plot(found, "random").axes
    points = [one for one in ax.lines if one.get_marker() == "o"]
    assert all(point.get_markerfacecolor() != point.get_color() for point in points)
    assert ax.get_xlabel() == "score minus random (items only)"


def test_a_line_of_one_seed_among_others_says_so_in_its_name() -> None:
    alone = replace(line("b", "nano_math", 0.2), difference=Difference(0.2, 0.1, 0.3, 1, 100))
    found = forest([line("a", "nano_math", 0.3), alone], {})
    assert found is not None
    assert found.names == ("a", "b (items only)")


def test_the_report_shows_it_before_the_numbers() -> None:
    names = [block.name for block in compared([line(name, "nano_math", 0.1) for name in "ab"], "random", {})]
    assert names == ["forest", "differences"]


def test_a_cost_plot_of_many_settings_distinguishes_methods_and_shows_random_once() -> None:
    lines = [line(f"nait layers=[{k}]", "nano_math", 0.1) for k in range(20)]
    lines += [line("random", "nano_math", 0.0, target=target) for target in ("math", "code")]
    spots = costs(lines, {})["nano_math"]
    assert {spot.method for spot in spots} == {"nait", "random"}
    assert sum(spot.method == "random" for spot in spots) == 1
