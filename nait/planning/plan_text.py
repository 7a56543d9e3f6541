"""Plans as text."""

from __future__ import annotations

from nait.core.estimates.human_units import counted, human_seconds
from nait.core.estimates.plans import Plan, known_seconds
from nait.core.estimates.training_memory import bytes_text
from nait.core.statistics.power import describe as describe_power


def describe(plan: Plan) -> str:
    """The plan as text: a table of phases, then resources and notes."""
    from tabulate import tabulate

    states = {True: "in the store", False: "to be made", None: "not known yet"}
    body = [[p.name, states[p.stored], _seconds(p.seconds), p.how] for p in plan.phases]
    total = known_seconds(plan.phases)
    unknown = [phase.name for phase in plan.phases if phase.seconds is None]
    body.append(["all", "", _seconds(total), f"without {', '.join(unknown)}" if unknown else ""])
    table = tabulate(body, headers=["phase", "result", "time", "from"], disable_numparse=True)
    return "\n".join([str(table), "", *_lines(plan), *plan.notes])


def _lines(plan: Plan) -> list[str]:
    targets = ", ".join(f"{name} ({rows:,})" for name, rows in plan.targets.items()) or "none"
    lines = [f"Pool: {counted(plan.rows, 'row')}; targets: {targets}."]
    if plan.tokens is not None and plan.padded_share is not None:
        shared = f", {plan.shared_tokens:,} of them in shared prefixes" if plan.shared_tokens else ""
        about, source = (
            ("", "") if plan.counted_rows is None else ("about ", f", from {plan.counted_rows:,} of its rows")
        )
        lines.append(
            f"Tokens: {about}{plan.tokens:,} in the pool{shared}{source}; "
            f"{plan.padded_share:.1%} of its batches is padding."
        )
    missing = [one for one in plan.passes if not one.stored]
    if plan.passes:
        named = ", ".join("+".join(one.signals) for one in missing) or "none"
        lines.append(f"Passes over the pool: {named}; {len(plan.passes) - len(missing)} more in the store.")
        lines.append(
            f"Disk for their results: {bytes_text(plan.disk_bytes)}; memory: {bytes_text(plan.memory_bytes)}."
        )
    if plan.opening_seconds:
        lines.append(f"Opening the model takes {human_seconds(plan.opening_seconds)} of select.")
    if plan.training_memory:
        lines.append(plan.training_memory)
    if plan.eval_items is not None:
        lines.append(f"Items in the evaluation: {plan.eval_items:,}.")
    if plan.detectable:
        lines.append(describe_power(plan.detectable))
    money = "" if plan.money is None else f", {plan.money:.2f} {plan.currency}"
    lines.append(f"Device-hours: {plan.device_hours:.4f}{money}.")
    return lines


def _seconds(seconds: float | None) -> str:
    return "unknown" if seconds is None else human_seconds(seconds)
