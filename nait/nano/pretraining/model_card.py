"""The model card, generated from the log of a pretraining run and, if present, of a study."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

HEAD = """# Model card: nano

A Llama of {parameters:,} parameters ({layers} layers, hidden {hidden}, {heads} heads, FFN {ffn},
tied embeddings, {positions} positions, byte-level BPE of 1,024 tokens with single digits), made from scratch
on the procedural text of `nait.nano.pretraining.pretraining_text`. It exists so that data selection can be tried in
seconds on a machine with nothing else.

**It is not evidence about 7B models.** It shows mechanics: that selectors run, differ, and can be judged by
known truth. It knows nothing of the real world and should answer nobody's question. All training text is made
by this repository; no other data were used. Licence: that of the repository.

| | |
|---|---|
| weights | `model.safetensors`, bfloat16, sha256 `{sha256}` |
| text | {tokens:,} tokens; `documents.fingerprint()` is `{documents}` |
| recipe | seed {seed}, {steps:,} steps of up to {batch:,} tokens; questions weigh {question_weight} |
| optimiser | AdamW {lr}, warm-up {warmup}, decay in the last {percent:.0f} %, weight decay {weight_decay} |
| time | {minutes:.0f} minutes on one CPU thread, bfloat16 autocast, probes included; torch {torch} |
| remake | `python -m nait.nano.pretraining`; `--check` repeats the first {check_steps} steps and compares |

Bit-for-bit repetition is promised on one machine and torch only; elsewhere expect the same curve, not the
same bits.
"""


def card(log: dict[str, Any], study: Sequence[dict[str, Any]] = ()) -> str:
    """The card's Markdown."""
    recipe = log["recipe"]
    text = HEAD.format(
        **{key: value for key, value in recipe.items() if key not in ("decay", "tokens")},
        percent=100 * recipe["decay"],
        parameters=log["parameters"],
        sha256=log["sha256"],
        tokens=log["tokens"],
        batch=recipe["tokens"],
        documents=log["documents"],
        minutes=log["seconds"] / 60,
        torch=log["torch"],
        check_steps=log["check"]["steps"],
    )
    return text + _curve(log) + _probes(log) + (_study(study) if study else "")


def _curve(log: dict[str, Any]) -> str:
    rows = [
        point for point in log["curve"] if point["step"] % 500 == 0 or point["step"] == log["recipe"]["steps"]
    ]
    lines = [f"| {row['step']:,} | {row['loss']:.3f} | {row['seconds']} |" for row in rows]
    return (
        "\n## Loss\n\n| step | nats an answer token, mean of 100 steps | seconds |\n|---|---|---|\n"
        + "\n".join(lines)
        + "\n"
    )


def _probes(log: dict[str, Any]) -> str:
    """The accuracies by sub-skill: raw format over time, instruction format at the last step."""
    last = log["probes"][-1]
    steps = [probe["step"] for probe in log["probes"]]
    text = "\n## Base accuracy by sub-skill\n\nRaw: the canonical pretraining format, 10 held-out problems"
    text += f" a skill, at steps {', '.join(f'{step:,}' for step in steps)}."
    text += " Instruction: the evaluation's format, last step.\n\n"
    text += "| capability | sub-skill | raw over time | instruction |\n|---|---|---|---|\n"
    for capability, table in last["instruction"].items():
        text += f"| **{capability}** | all | | {table['all']:.3f} |\n"
        for skill in sorted(set(table) - {"all"}):
            raw = (
                " ".join(f"{probe['raw'][skill]:.1f}" for probe in log["probes"])
                if skill in last["raw"]
                else ""
            )
            text += f"| | {skill} | {raw} | {table[skill]:.2f} |\n"
    return text


def _study(records: Sequence[dict[str, Any]]) -> str:
    """Mean and standard deviation over seeds, by arm (rows) and task (columns)."""
    cells: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        for task, table in record["accuracies"].items():
            cells[record["arm"]][task].append(table["all"])
    tasks = list(records[0]["accuracies"])
    seeds = max(len(row[tasks[0]]) for row in cells.values())
    text = "\n## After LoRA on 500 of 5,000 rows\n\nr 16 on every linear, lr 3e-3, 3 epochs, batch 16; an arm"
    text += (
        " named after a capability is its oracle (clean rows of the target). Mean ± standard deviation over"
    )
    text += f" {seeds} seeds, 200 items a task; `python -m nait.nano.pretraining.probe --seeds {seeds}`.\n\n"
    text += "| arm | " + " | ".join(tasks) + " |\n|" + "---|" * (len(tasks) + 1) + "\n"
    for arm, row in cells.items():
        text += f"| {arm} | " + " | ".join(_cell(row[task], bold=arm == task) for task in tasks) + " |\n"
    return text


def _cell(values: Sequence[float], *, bold: bool) -> str:
    text = f"{mean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")
    return f"**{text}**" if bold else text
