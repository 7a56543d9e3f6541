"""Laws of the shared cases: each file behaves as the cases' README requires. Skipped when the cases are absent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nait.core.dataset.examples import Pool
from nait.core.errors import DataError
from nait.data.pools import read_pool

Check = Callable[[Pool], bool]


def said(pool: Pool) -> str:
    """Text of all rows, prompts and answers."""
    return "\n".join(
        "\n".join([one.system, *(f"{turn.instruction}\n{turn.input}\n{turn.answer}" for turn in one.turns)])
        for one in pool.examples
    )


def every(words: str) -> Check:
    return lambda pool: said(pool).count(words) >= len(pool)


def turns(count: int) -> Check:
    return lambda pool: all(len(one.turns) == count for one in pool.examples)


def context(pool: Pool) -> bool:
    return all(turn.trained != ("MARKER-BAD" in turn.answer) for one in pool.examples for turn in one.turns)


READ: dict[str, tuple[int, Check, dict[str, Any]]] = {
    "f05_openorca": (8, every("MARKER-SYSTEM"), {}),
    "f07_openhermes": (8, turns(1), {}),
    "f08_sharegpt_raw": (8, turns(1), {"on_bad": "skip"}),
    "f12_ultrachat_original": (8, turns(2), {}),
    "f13_lima": (8, turns(1), {}),
    "f18_mmlu": (8, every("\nA. w\nB. x"), {}),
    "f19_mmlu_pro": (8, every("MARKER-OPTION"), {}),
    "f27_dpo_lists": (8, turns(1), {"columns": {"messages": "chosen"}}),
    "f32_capybara": (8, turns(2), {}),
    "f34_openai_tools": (4, turns(1), {"on_bad": "skip"}),
    "f37_multimodal_parts": (8, turns(1), {}),
    "f38_openai_finetune_weight": (8, context, {}),
    "f42b_csv_semicolon": (8, every("MARKER-CONTEXT"), {}),
    "f42c_csv_cp1252": (8, every("Café"), {"encoding": "cp1252"}),
    "f42d_tsv": (8, every("MARKER-CONTEXT"), {}),
    "f44b_pandas_columns": (8, turns(1), {}),
    "f45a_top_data": (8, turns(1), {}),
    "f46b_pretty_objects": (8, turns(1), {}),
    "f47c_bz2": (8, turns(1), {}),
    "f49_parquet_folder": (8, turns(1), {}),
    "f51_gpteacher": (8, every("MARKER-CONTEXT"), {}),
    "f53_llamafactory_history": (8, every("MARKER-HISTORY"), {}),
    "f54_trl_conversational": (8, turns(1), {}),
    "f55_guanaco_text": (8, turns(1), {}),
    "f59_thinking_messages": (8, every("MARKER-THINK"), {}),
    "f60_messages_json_string": (8, turns(1), {}),
    "f64_wildchat_last_user": (8, turns(1), {"turns": "mend"}),
    "f69_capital_roles": (8, turns(1), {}),
    "r40_input_output_map": (8, lambda pool: all(not t.input for e in pool.examples for t in e.turns),
                             {"columns": {"instruction": "input"}}),
    "r47_first_conversation_empty": (8, turns(1), {"on_bad": "skip"}),
}  # fmt: skip
REFUSED = {
    "f08_sharegpt_raw": "5 rows cannot be used:.*set data.on_bad=skip",
    "f27_dpo_lists": "data.columns={messages: chosen}",
    "f34_openai_tools": "4 rows cannot be used:.*line 2, .*data.on_bad=skip",
    "f42c_csv_cp1252": "is not UTF-8. Set data.encoding, for example to cp1252",
    "f64_wildchat_last_user": "line 4, .*data.turns=mend, or set data.on_bad=skip",
}


def pool_of(folder: Path) -> Path:
    return next(iter(sorted(folder.glob("pool*"))), folder / "data")


@pytest.mark.parametrize("case", READ)
def test_a_case_is_read_by_default_or_with_the_keys_in_its_error(
    shared: Callable[[str], Path], case: str
) -> None:
    rows, holds, keys = READ[case]
    pool = read_pool(pool_of(shared(f"cases/{case}")), **keys)
    assert len(pool) == rows
    assert holds(pool)


@pytest.mark.parametrize("case", REFUSED)
def test_the_error_of_a_refused_case_names_the_remedy(shared: Callable[[str], Path], case: str) -> None:
    import re

    with pytest.raises(DataError) as caught:
        read_pool(pool_of(shared(f"cases/{case}")))
    assert re.search(REFUSED[case], str(caught.value), re.DOTALL)
