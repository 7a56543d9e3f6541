"""The gradient runner: per-example LoRA gradients, batch by batch, reduced during the backward pass.

Shapes: B rows, P weights of the LoRA, R reference rows, S width of a projection. Memory holds the
activations of a backward pass and the gradients of one factor for a batch; of all factors for unprojected
`Gradients`. This is several times the memory of a forward pass: use smaller batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nait.core.dataset.token_table import TokenTable
from nait.core.errors import ModelError
from nait.models.anatomy import Anatomy, device_of, dissect
from nait.models.tokens.batches import Rows, Side, batch_width, collate
from nait.signals.forward.padding_check import PaddingCheck
from nait.signals.runtime.host_transfer import HostTransfer, joined
from nait.signals.runtime.out_of_memory import MemoryFit
from nait.signals.specs.gradients import Arrays, GradientSignal

if TYPE_CHECKING:
    import torch

    from nait.models.lm_head import LmHead


class GradientRunner:
    """Runs forward and backward passes over batches; one backward pass yields the gradient of every row.

    Raises: ModelError if the model has no plain LoRA.
    """

    def __init__(self, network: Any, signals: Sequence[GradientSignal], *, padding: Side = "right") -> None:
        from nait.signals.backward.per_example import Tap
        from nait.signals.backward.reductions import Reducer

        self.network = network
        self.anatomy: Anatomy = dissect(network)
        self.head: LmHead | None = None
        self.device = device_of(network)
        # Any id works: no real token attends to it. Some models warn about the pad id itself.
        self.fill_id = 1 if getattr(network.config, "pad_token_id", None) == 0 else 0
        self.padding: Side = padding
        self.tap = Tap(network, self._take)
        shapes = {name: tuple(factor.weight.shape) for name, factor in self.tap.factors.items()}
        self.reducer = Reducer(signals, shapes, self.device)
        self.seen: set[str] = set()
        self.scale_b: torch.Tensor | None = None
        self.check_padding = PaddingCheck(self.anatomy, self.anatomy.layers)
        self.fit = MemoryFit()

    def __enter__(self) -> GradientRunner:
        from nait.models.lm_head import head_of

        self.tap.__enter__()
        self.head = head_of(self.network, self.anatomy)  # its logits are checked, which needs dropout off
        return self

    def __exit__(self, *error: object) -> None:
        self.tap.__exit__(*error)

    def begin(self, table: TokenTable, rows: Rows) -> list[HostTransfer]:
        """Values of these rows, in one or more parts: out of memory halves the batch and logs a warning."""
        width = batch_width(table, rows)
        return self.fit.read(lambda part: HostTransfer(self._read(table, part)), rows, width=width)

    def read(self, table: TokenTable, rows: Rows) -> list[Arrays]:
        """One array per signal for these rows."""
        return joined(self.begin(table, rows))

    def _read(self, table: TokenTable, rows: Rows) -> list[torch.Tensor]:
        import torch

        from nait.signals.backward.answer_loss import backward, loss_scales
        from nait.signals.forward.output_meters import predicted

        assert self.head is not None
        batch = collate(table, rows, fill_id=self.fill_id, device=self.device, side=self.padding)
        with torch.no_grad():
            self.check_padding(batch, self._states)
        asked = predicted(batch, "answer")
        blank = ~asked.any(dim=1)
        self.tap.rows, self.tap.width = batch.input_ids.shape
        for scale_b in (loss_scales(self.anatomy, asked), None):
            self.scale_b, self.seen = scale_b, set()
            self.reducer.start(len(rows))
            if not bool(blank.all()):
                backward(self.head, self.anatomy, batch, scale_b)
                self._check_all_seen()
            values = self.reducer.finish()
            if scale_b is None or all(bool(value[~blank].isfinite().all()) for value in values):
                break  # a scaled gradient may overflow
        # A row without an answer has no gradient; an update from Adam's momentum alone would not depend on the row.
        return [torch.where(blank[:, None], torch.nan, value) for value in values]

    def _states(self, ids_bt: torch.Tensor, **options: Any) -> torch.Tensor:
        """Output [B, T, D] of the decoder."""
        decoded = self.anatomy.decoder(input_ids=ids_bt, use_cache=False, **options)
        states: torch.Tensor = decoded.last_hidden_state
        return states

    def _take(self, name: str, gradient: torch.Tensor) -> None:
        if name in self.seen:
            raise ModelError(
                f"{name} is used twice in one pass",
                where="gradients",
                fix="Leave this module out of train.lora.target_modules.",
            )
        self.seen.add(name)
        g_bp = gradient.flatten(1)
        if self.scale_b is not None:
            g_bp = g_bp / self.scale_b.to(g_bp.device)[:, None]
        self.reducer.take(name, g_bp)

    def _check_all_seen(self) -> None:
        unseen = sorted(set(self.tap.factors) - self.seen)
        if unseen:
            raise ModelError(
                f"the loss does not depend on {unseen[0]}",
                where="gradients",
                fix="Leave this module out of train.lora.target_modules; an adapter must not be merged.",
            )
