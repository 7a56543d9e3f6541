"""IFD, instruction-following difficulty: the answer's loss given its instruction over its loss alone.

Cherry: Li et al., NAACL 2024, arXiv 2308.12032. Superfiltering: Li et al., ACL 2024, arXiv 2402.00530. README.md
lists the three published formulas that share the name.

Shapes: N rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from nait.baselines.shared.single_column import Floats, mean_nll, one_column
from nait.baselines.shared.warmup import Warmup
from nait.core.contracts import Extractor
from nait.core.dataset.examples import Pool, Target
from nait.core.errors import ConfigError
from nait.core.inputs.checks import check_choice, check_limit, check_whole
from nait.core.ranking.score_table import ScoreTable
from nait.models.prompts.templates import Template
from nait.signals.specs.activations import Losses, Signal

Ratio = Literal["means", "perplexities"]
RATIOS: tuple[Ratio, ...] = ("means", "perplexities")
CUT_TURNS = "turns beyond max_length"
"""The reason of a conversation that is cut: its direct text, without the later prompts, has more of its answers."""


@dataclass(frozen=True)
class Ifd:
    """The answer's loss given the instruction over its loss alone, both by the same model.

    With s_c the mean NLL of the answer's tokens under the template `template` and s_d under `direct`:
    `ratio=means` is s_c / s_d, `ratio=perplexities` is exp(s_c - s_d).

    - `lowest`, `highest` (null: no bound): only rows with an IFD in this range are ranked.
    - `allowance`: the number of tokens in front of the answer in the direct text. The direct text of a row whose
      prompt has n tokens is cut at max_length - n + `allowance`, so that both texts hold the same part of a long
      answer. The published code uses a constant for all tokenizers.
    - `warmup`: first fine-tune the scoring model on a few rows of each cluster.
    """

    version: ClassVar[int] = 2
    """Since 2, conversations that are cut are not ranked."""

    template: Template
    direct: Template
    ratio: Ratio = "means"
    lowest: float | None = None
    highest: float | None = 1.0
    allowance: int = 4
    max_length: int | None = None
    warmup: Warmup | None = None

    def __post_init__(self) -> None:
        check_limit(self.max_length)
        check_choice("selector.ratio", self.ratio, RATIOS)
        check_whole("selector.allowance", self.allowance, least=0, fix="4 and 1 are published.")
        if self.lowest is not None and self.highest is not None and self.lowest >= self.highest:
            raise ConfigError(
                f"no IFD lies between {self.lowest:g} and {self.highest:g}",
                where="selector.lowest",
                fix="Set it below selector.highest.",
            )

    def content(self) -> dict[str, int] | None:
        """The version of the warm-up, which decides the rows it is trained on; None without a warm-up."""
        return None if self.warmup is None else {"warmup": self.warmup.version}

    def requests(
        self,
        pool: Pool,
        targets: Sequence[Target],  # noqa: ARG002
        extractor: Extractor,
    ) -> list[tuple[Extractor, Pool, Sequence[Signal]]]:
        """The signals measured on the pool: losses of two texts, by the fine-tuned model if there is a warm-up."""
        conditioned = extractor.under(template=self.template, max_length=self.max_length)
        if self.warmup is not None:
            conditioned = self.warmup.tuned(pool, conditioned, extractor)
        direct = conditioned.under(template=self.direct, room_for=self.template, allowance=self.allowance)
        return [(conditioned, pool, [Losses("answer")]), (direct, pool, [Losses("answer")])]

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        """One column for all targets; unit: 1."""
        (conditioned, _, signals), (direct, _, _) = self.requests(pool, targets, extractor)
        losses_c, losses_d = (view.measure(pool, signals)[0] for view in (conditioned, direct))
        ifd_n = self._ratio(mean_nll(losses_c), mean_nll(losses_d))
        limit = int(conditioned.identity(pool)["max_length"])
        room = limit - conditioned.prompt_lengths(pool)
        unrankable = {
            "prompt fills max_length": room <= 0,
            "no answer token left": (losses_c[:, 1] == 0) | (losses_d[:, 1] == 0),
            "more of the answer fits alone than behind its prompt": losses_d[:, 1] > room,
            CUT_TURNS: _several_turns(pool)
            & (conditioned.tokens(pool).truncated | direct.tokens(pool).truncated),
        }
        if self.highest is not None:
            unrankable[f"IFD above {self.highest:g}"] = ifd_n > self.highest
        if self.lowest is not None:
            unrankable[f"IFD below {self.lowest:g}"] = ifd_n < self.lowest
        return one_column(
            pool, ifd_n, unrankable, unit="1",
            definition=f"IFD: ratio of {self.ratio}, answer given its prompt over answer alone",
        )  # fmt: skip

    def _ratio(self, s_c: Floats, s_d: Floats) -> Floats:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return np.asarray(s_c / s_d if self.ratio == "means" else np.exp(s_c - s_d))


def _several_turns(pool: Pool) -> npt.NDArray[np.bool_]:
    """Which rows [N] have more than one turn."""
    return np.array([len(example.turns) > 1 for example in pool.examples], dtype=np.bool_)
