# %% [markdown]
# # A selection in Python, step by step
#
# Each cell can be run in a notebook (Jupyter and VS Code read this file), or all of them with
# `python select_and_explain.py`. The embedded world is used: no download, no GPU, a few seconds. For your own data,
# give paths, lists of dicts, pandas frames or `datasets.Dataset` objects.

# %%
import json

import nait

chosen = nait.select("nano_small", like="nano", model="nano", top=0.1)
print(len(chosen), "rows by", chosen.run.job.labels["selector"])

# %% [markdown]
# `rows` are your own rows with all their columns, best first.

# %%
best = chosen.rows[0]
print(best["instruction"], "->", best["output"])

# %% [markdown]
# `scores` has one line for each row of the pool: the score for each target, the rank, and why a row cannot be
# selected.

# %%
ranked = chosen.scores.sort_values("rank")
print(ranked[["row", "score:math", "rank", "selected"]].head(3))

# %% [markdown]
# Why this row? Its score, how many rows are below it, what each layer adds, and the reference rows nearest to it. The
# same for a row that was not selected says what it lacked.

# %%
first, last = int(ranked.row.iloc[0]), int(ranked.row.iloc[-1])
for row in (first, last):
    (why,) = chosen.explain(row)
    print(f"row {row}: selected {why.selected}, score {why.score:.3f}, needed {why.needed:.3f}")
    print("  layers:", {layer: round(part, 3) for layer, part in why.layers.items()})
    print("  nearest references:", why.nearest)

# %% [markdown]
# How much does the choice depend on the reference rows? `stability` draws them again, and says which share of the
# selected rows stays. `diagnostics` has the warnings, such as a score that follows the length of the text.

# %%
if chosen.stability:
    print(chosen.stability.sentence())
print(chosen.diagnostics["length_correlation"], chosen.diagnostics["warnings"])

# %% [markdown]
# `save` writes the rows as a file, with the scores of the whole pool beside it. TRL, Axolotl and LLaMA-Factory load
# it: see [Train with another tool](../train-elsewhere.md).

# %%
path = chosen.save("best.jsonl")
lines = path.read_text(encoding="utf-8").splitlines()
print(path, len(lines), "rows; columns:", *json.loads(lines[0]))
