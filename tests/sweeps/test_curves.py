"""Laws of the curves: what was varied is found, one line a method, random beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nait.store import Store
from nait.sweeps.grouping.collect import collect
from nait.sweeps.plots.cost_spots import costs
from nait.sweeps.plots.curve_plots import cost_plot, curve_plot
from nait.sweeps.plots.curves import MOST_LINES, left_out, number, panels, unit
from nait.sweeps.stats.aggregates import Line, summarise
from nait.sweeps.stored_runs.run_set import RunSet

from .fixtures import put


def lines_of(store: Store) -> list[Line]:
    return summarise(collect(RunSet.load(store)))


def test_a_number_is_read_from_what_a_table_shows() -> None:
    assert number("10%") == 10
    assert number("1000 rows") == 1000
    assert number("[3]") == 3
    assert number("2e-05") == pytest.approx(2e-5)
    assert number("[-1]") == -1
    assert [number(text) for text in ("all", "[1, 2]", "None", "")] == [None] * 4
    assert unit("500 tokens") == " tokens"


def test_a_varied_budget_is_an_x_axis_with_random_as_a_curve(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for percent in (1, 10, 50):
        for name in ("nait", "random"):
            put(store, name, budget=f"{percent}%", rows=percent)
    found = {panel.y: panel for panel in panels(lines_of(store), {})}
    assert set(found) == {"nano", "nano_math", "nano_code", "nano_facts"}
    assert found["nano"].x == "budget (%)"
    lower = [replace(line, higher_is_better=line.task != "nano_code") for line in lines_of(store)]
    titles = {panel.y: panel.title for panel in panels(lower, {})}
    assert titles == {**{name: name for name in found}, "nano_code": "nano_code (lower is better)"}
    assert list(found)[:2] == ["nano_math", "nano"]  # the target's own benchmark, then the mean
    assert [curve.name for curve in found["nano"].curves] == ["nait", "random"]
    assert [point.x for point in found["nano"].curves[0].points] == [1, 10, 50]


def test_a_varied_layer_is_a_curve_a_target_and_random_is_a_level(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for target in ("math", "code"):
        put(store, "random", target=target)
        for layers in ("[1]", "[2]", "[3]", "all", "[1, 2]"):
            put(store, "nait", target=target, layers=layers)
    panel = panels(lines_of(store), {})[0]
    assert [(curve.name, curve.level) for curve in panel.curves] == [
        ("nait, code", False), ("nait, math", False), ("random", True),
    ]  # fmt: skip
    assert [point.x for point in panel.curves[0].points] == [1, 2, 3]


def test_two_points_give_no_curve(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait", layers="[1]")
    put(store, "nait", layers="[2]")
    assert panels(lines_of(store), {}) == []


def test_without_an_evaluation_the_curve_is_what_was_selected(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for k, layers in enumerate(("[1]", "[2]", "[3]")):
        put(store, "nait", layers=layers, share=0.1 * k, evaluated=False)
    (panel,) = panels(lines_of(store), {})
    assert panel.y == "precision"
    assert not panel.curves[0].items_only
    assert [point.y for point in panel.curves[0].points] == pytest.approx([0.0, 0.1, 0.2])


def test_quality_is_plotted_against_the_seconds_of_selection_and_training(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait")
    put(store, "random")
    found = costs(lines_of(store), {})
    assert set(found) == {"nano_math"}  # the target's own benchmark
    assert {spot.method: spot.seconds for spot in found["nano_math"]} == {"nait": 7.0, "random": 9.0}
    assert cost_plot(found).axes[0].get_xscale() == "log"


def test_far_apart_values_have_a_logarithmic_axis_and_near_ones_do_not(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for percent in (1, 10, 50):
        put(store, "nait", budget=f"{percent}%", rows=percent)
    assert curve_plot(panels(lines_of(store), {})).axes[0].get_xscale() == "log"
    other = Store(tmp_path / "other")
    for layers in ("[1]", "[2]", "[3]"):
        put(other, "nait", layers=layers)
    assert curve_plot(panels(lines_of(other), {})).axes[0].get_xscale() == "linear"


def test_a_curve_of_one_seed_says_in_its_legend_that_its_band_is_over_items_only(tmp_path: Path) -> None:
    one, three = Store(tmp_path / "one"), Store(tmp_path / "three")
    for percent in (1, 10, 50):
        put(one, "nait", budget=f"{percent}%", rows=percent)
        for seed in range(3):
            put(three, "nait", budget=f"{percent}%", rows=percent, seed=seed)

    def legend(store: Store) -> list[str]:
        axes = curve_plot(panels(lines_of(store), {})).axes
        return sorted({str(label) for ax in axes for label in ax.get_legend_handles_labels()[1]})

    assert legend(one) == ["nait (items only)"]
    assert legend(three) == ["nait"]
    assert [spot.items_only for spot in costs(lines_of(one), {}).get("nano_math", ())] == []


def test_budgets_that_count_unlike_things_have_an_axis_each(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for budget in ("2%", "10%", "100%", "20 rows", "50 rows", "100 rows", "200 tokens", "500 tokens"):
        for name in ("nait", "random"):
            put(store, name, budget=budget, rows=int(budget.rstrip("% rowstken")) % 99)
    found = [panel for panel in panels(lines_of(store), {}) if panel.y == "nano"]
    assert [(panel.x, [[point.x for point in curve.points] for curve in panel.curves]) for panel in found] == [
        ("budget (rows)", [[20, 50, 100]] * 2), ("budget (%)", [[2, 10, 100]] * 2),
    ]  # fmt: skip


def test_curves_and_benchmarks_without_a_place_are_counted_and_random_keeps_its_place(tmp_path: Path) -> None:
    store = Store(tmp_path)
    tasks = {f"nano_{name}": 0.5 for name in ("math", "code", "facts", "logic", "a", "b", "c")}
    for percent in (1, 10, 50):
        put(store, "random", budget=f"{percent}%", rows=percent, share=tasks)
        for k in range(MOST_LINES + 2):
            put(store, f"method{k}", budget=f"{percent}%", rows=percent, share=tasks)
    lines = lines_of(store)
    found = panels(lines, {})
    assert {len(panel.curves) for panel in found} == {MOST_LINES}
    assert {panel.curves[-1].name for panel in found} == {"random"}
    assert left_out(lines, found) == [
        "2 more benchmarks have no panel: nano_facts, nano_logic.",
        "budget (%): 3 more curves are not drawn.",
    ]


def draws(store: Store, *, budgets: tuple[str, ...]) -> list[Line]:
    """Lines of three draws of reference rows with shares of 0.2, 0.5 and 0.8, at three numbers of rows or budgets."""
    for budget in budgets:
        put(store, "nait", budget=budget, rows=int(budget[:-1]))
    alike = lines_of(store)
    found = []
    for draw, value in ((1, 0.2), (2, 0.5), (3, 0.8)):
        for rows in (4, 8, 16) if len(budgets) == 1 else (32,):
            settings = {
                "reference": f"{draw}{rows}abc",
                **({"reference rows": str(rows)} if rows < 32 else {}),
            }
            found += [
                replace(line, selector=f"nait {settings}", settings=settings, value=value) for line in alike
            ]
    return found


def test_a_point_of_several_draws_is_their_mean_and_a_note_says_so(tmp_path: Path) -> None:
    lines = draws(Store(tmp_path), budgets=("10%",))
    found = panels(lines, {})
    (curve,) = found[0].curves
    assert found[0].x == "reference rows"
    assert [(point.x, point.y, point.half_width) for point in curve.points] == [
        (x, pytest.approx(0.5), None) for x in (4, 8, 16)
    ]
    assert all(line.seeds == 1 and line.half_width for line in lines)
    assert not curve.items_only  # a mean has no interval
    assert "reference rows: nait is the mean of up to 3 lines at a point, without an interval." in left_out(
        lines, found
    )


def test_each_draw_has_a_curve_over_the_budget(tmp_path: Path) -> None:
    lines = draws(Store(tmp_path), budgets=("1%", "10%", "50%"))
    found = panels(lines, {})
    assert (
        sorted(point.y for curve in found[0].curves for point in curve.points)
        == [0.2] * 3 + [0.5] * 3 + [0.8] * 3
    )
    assert len({curve.name for curve in found[0].curves}) == 3
    assert not any("the mean of" in note for note in left_out(lines, found))


def test_settings_with_one_short_form_have_a_curve_each(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for percent in (1, 10, 50):
        put(store, "nait", budget=f"{percent}%", rows=percent)
    alike = lines_of(store)
    one, other = (f"{'a1b2c3' + end}+{'d4e5f6' + end}+{end}" for end in ("0000", "ffff"))
    lines = [
        replace(line, selector=f"nait {k}", settings={"reference": reference}, value=value)
        for k, (reference, value) in enumerate(((one, 0.2), (other, 0.8)))
        for line in alike
    ]
    found = panels(lines, {})
    assert sorted((curve.name, {point.y for point in curve.points}) for curve in found[0].curves) == [
        ("nait reference=a1b2c3+d4e5f6, settings 1", {0.2}),
        ("nait reference=a1b2c3+d4e5f6, settings 2", {0.8}),
    ]
    said = left_out(lines, found)
    assert f"nait reference=a1b2c3+d4e5f6, settings 2: reference={other}." in said
    assert not any("the mean of" in note for note in said)


@pytest.mark.parametrize(("forms", "curves"), [(("[{}]", "{}"), 2), (("{}", "{}.0"), 1)])
def test_two_settings_of_one_number_are_not_averaged(
    forms: tuple[str, str], curves: int, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    for form, share in zip(forms, (0.2, 0.9), strict=True):
        for layer in (1, 2, 3):
            put(store, "nait", layers=form.format(layer), share=share)
    lines = lines_of(store)
    found = panels(lines, {})
    known = {line.value for line in lines if line.task == found[0].y}
    assert len(found[0].curves) == curves
    assert {point.y for curve in found[0].curves for point in curve.points} <= known
    assert all(point.half_width for curve in found[0].curves for point in curve.points)
    said = left_out(lines, found)
    assert not any("the mean of" in note for note in said)
    names = ["nait, settings 1: [number] on the axis.", "nait, settings 2: number on the axis."]
    assert [one for one in said if "settings" in one] == (names if curves == 2 else [])


def test_a_control_of_several_targets_keeps_its_interval_and_its_fullest_line(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for percent in (1, 10, 50):
        for target in ("code", "math"):
            put(store, "nait", target=target, budget=f"{percent}%", rows=percent)
            for seed in range(1 if target == "code" else 3):
                put(store, "random", target=target, budget=f"{percent}%", rows=percent, seed=seed)
    lines = lines_of(store)
    found = panels(lines, {})
    (curve,) = [curve for curve in found[0].curves if curve.name == "random"]
    fullest = {
        line.value: line.half_width
        for line in lines
        if (line.method, line.target, line.task) == ("random", "math", found[0].y)
    }
    assert {point.y: point.half_width for point in curve.points} == fullest
    assert curve.averaged == 1
    assert not curve.items_only
