"""The gradient of one update: of the mean loss of its answer tokens, micro-batch by micro-batch.

Each token's loss is divided by the answer tokens of the whole update, so how the rows are split changes no gradient
beyond float rounding. Only dropout draws other values for another split. The LM head runs at answer tokens only.

Shapes: B rows, T tokens, D hidden size, K answer tokens that are predicted, V vocabulary.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nait.core.dataset.token_table import TokenTable
from nait.core.errors import ModelError
from nait.core.ranks import SINGLE_PROCESS, Workers
from nait.models.anatomy import Anatomy, device_of, dissect
from nait.models.devices.sharded_network import decoder_of, free_gathered, is_shard, is_sharded
from nait.models.lm_head import Head, head_backward, head_of
from nait.models.tokens.batches import Rows, width_of
from nait.models.tokens.uneven_rows import overhead_tokens, split
from nait.training.updates import shared_updates
from nait.training.updates.micro_batches import MicroBatch, packed, padded, split_packed

log = logging.getLogger(__name__)

PACKING_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-4}
LOW_PRECISION_TOLERANCE = 3e-2
TRIAL_ROWS = 2

States = Callable[[MicroBatch], torch.Tensor]
"""The states [B, T, D] of a micro-batch, to which the head is applied."""


class UpdateGradients:
    """Adds the gradient of an update's mean loss to the parameters of `network`.

    `device_tokens` is the most padded tokens of a micro-batch; out of memory halves it, for later updates too.
    `packs`: whether the rows of a micro-batch become one sequence without padding; None packs with flash attention.
    `workers`: the processes that each compute a share of the rows. The gradient is the same in all of them.
    """

    def __init__(
        self,
        network: Any,
        table: TokenTable,
        *,
        device_tokens: int,
        packs: bool | None = None,
        autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
        workers: Workers = SINGLE_PROCESS,
    ) -> None:
        network.eval()  # the head and packing are checked without dropout
        self.network, self.table, self.autocast = network, table, autocast
        self.lengths = table.lengths
        self.device_tokens = device_tokens
        self.device = torch.device(device_of(network))
        # Any other id works: no real token attends to a pad. Some models warn about the pad id itself.
        self.fill_id = 1 if getattr(network.config, "pad_token_id", None) == 0 else 0
        anatomy = dissect(network)
        with autocast():
            self.states, self.head = _outputs(network, anatomy)
        self.overhead = overhead_tokens(anatomy, self.device)
        self.packs = (_is_flash(anatomy) and self._packs_exactly()) if packs is None else packs
        self.learned = np.array([int(table.row(i)[1][1:].sum()) for i in range(len(table))], dtype=np.int64)
        self.workers, self.seed = workers, torch.initial_seed()
        self.sharded = is_sharded(network)
        if self.sharded:
            free_gathered(network)  # the checks above gathered them
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.trained = [parameter for parameter in trained if not is_shard(parameter)]
        if workers.count > 1:
            shared_updates.check_equal(self.trained)

    def __call__(self, rows: Sequence[int], *, step: int = 0) -> torch.Tensor:
        """The mean loss (nats) of the answer tokens of these rows; their gradient is added to the parameters.

        Call it once per update, with the number of the update: out of memory clears the gradients and starts the
        update again. Raises: ModelError if a single row does not fit into memory; TrainingEnded in a helper whose
        rank 0 ended the training.
        """
        if not self.network.training:
            self.network.train()
        numbers = np.asarray(rows, dtype=np.int64)
        weight = 1.0 / int(self.learned[numbers].sum())
        if self.workers.count == 1:
            return self._repeated(numbers, weight)
        shared_updates.seed_share(self.seed, step, self.workers)
        own = shared_updates.share(numbers, self.lengths, self.workers, overhead=self.overhead)
        loss = self._in_step(own, weight) if self.sharded else self._repeated(own, weight)
        shared_updates.add_gradients(self.trained, loss)
        return loss

    def _repeated(self, numbers: Rows, weight: float) -> torch.Tensor:
        """The summed loss of the rows times `weight`, repeated in smaller micro-batches until they fit into memory.

        With several processes, all repeat until the shares of all fit.
        """
        while True:
            draws = _random_states(self.device)
            batches = self.split(numbers)
            full = False
            try:
                loss = self._accumulate(batches, weight)
            except torch.OutOfMemoryError as error:
                if max(len(batch) for batch in batches) == 1:
                    raise ModelError(
                        f"one row of {int(self.lengths[numbers].max())} tokens does not fit into memory",
                        where="train",
                        fix="Set train.gradient_checkpointing=true, or lower model.max_length.",
                    ) from error
                full = True
            # The exception is cleared here, and with it its references to the failed batch's tensors.
            if self.workers.count > 1:
                if shared_updates.all_done(out_of_memory=full):
                    return loss
            elif not full:
                return loss
            if full:
                self._halve(batches)
            self.network.zero_grad()
            _restore(draws, self.device)

    def _in_step(self, numbers: Rows, weight: float) -> torch.Tensor:
        """The summed loss of the rows times `weight`, in as many micro-batches as the other processes have.

        Each pass of a sharded network needs all processes. One with fewer micro-batches repeats a short row, whose
        loss has no weight. Raises: ShareError if a micro-batch does not fit into memory.
        """
        batches = self.split(numbers)
        rounds = shared_updates.agreed(len(batches))
        idle = [np.array([int(np.argmin(self.lengths))])] * (rounds - len(batches))
        made = [*((batch, weight) for batch in batches), *((batch, 0.0) for batch in idle)]
        try:
            losses = [self._backward(self._collate(rows), factor) for rows, factor in made]
        except torch.OutOfMemoryError as error:
            raise shared_updates.ShareError(
                f"out of memory with train.device_tokens={self.device_tokens}: lower it, or set "
                "train.gradient_checkpointing=true"
            ) from error
        return torch.stack(losses).sum()

    def split(self, rows: Rows) -> list[Rows]:
        """The rows of each micro-batch of an update."""
        lengths = self.lengths[rows]
        places = (
            split_packed(lengths, self.device_tokens)
            if self.packs
            else split(lengths, self.device_tokens, overhead=self.overhead)
        )
        return [rows[part] for part in places]

    def _accumulate(self, batches: Sequence[Rows], weight: float) -> torch.Tensor:
        made = [self._collate(rows) for rows in batches]
        nothing = torch.zeros((), device=self.device)
        return torch.stack([nothing, *(self._backward(batch, weight) for batch in made)]).sum()

    def _collate(self, rows: Rows, *, packs: bool | None = None) -> MicroBatch:
        if self.packs if packs is None else packs:
            return packed(self.table, rows, device=self.device)
        return padded(self.table, rows, fill_id=self.fill_id, device=self.device)

    def _backward(self, batch: MicroBatch, weight: float) -> torch.Tensor:
        """The summed loss of a micro-batch times `weight`; adds its gradient."""
        with self.autocast():
            h_kd = self._answer_states(batch)
            labels_k = batch.labels.to(h_kd.device)  # a model may be spread over several devices
            weight_k = torch.full_like(labels_k, weight, dtype=torch.float32)
            nll_k, g_kd = head_backward(self.head, h_kd.detach(), labels_k, weight_k)
        h_kd.backward(g_kd)
        return nll_k.sum().to(self.device)

    def _answer_states(self, batch: MicroBatch) -> torch.Tensor:
        h_btd = self.states(batch)
        return h_btd.flatten(0, 1)[batch.places.to(h_btd.device)]

    def _halve(self, batches: Sequence[Rows]) -> None:
        sizes = [len(rows) * width_of(int(self.lengths[rows].max())) for rows in batches if len(rows) > 1]
        self.device_tokens = max(sizes) // 2
        log.warning(
            "Out of memory at %d tokens per micro-batch. Training continues with half, %d. Set "
            "train.device_tokens=%d.", max(sizes), self.device_tokens, self.device_tokens,
        )  # fmt: skip
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _packs_exactly(self) -> bool:
        """Whether the states of some rows are the same when packed."""
        rows = np.arange(min(TRIAL_ROWS, len(self.table)))
        with torch.no_grad(), self.autocast():
            apart, together = (
                self._answer_states(self._collate(rows, packs=packs)).float() for packs in (False, True)
            )
            dtype = self.network.dtype
        allowed = PACKING_TOLERANCE.get(dtype, LOW_PRECISION_TOLERANCE) * float(apart.abs().max())
        if float((apart - together).abs().max()) <= allowed:
            return True
        log.warning("This model computes other values for packed rows. Micro-batches are padded.")
        return False


@dataclass(frozen=True)
class WholeLogits:
    """The head of a model whose states are its logits already."""

    vocabulary: int

    def __call__(self, h_pd: torch.Tensor) -> torch.Tensor:
        """The logits in float32."""
        return h_pd.float()


def _outputs(network: Any, anatomy: Anatomy) -> tuple[States, Head]:
    """The decoder's states and the head; the network's own logits of all positions if the head is not known."""
    try:
        head = head_of(network, anatomy)
    except ModelError as error:
        log.warning("%s. Training computes the logits of all positions, which takes memory.", error.what)
        whole = WholeLogits(int(network.config.get_text_config(decoder=True).vocab_size))
        base = network.get_base_model() if hasattr(network, "get_base_model") else network
        return (
            lambda batch: base(input_ids=batch.input_ids, use_cache=False, **batch.options).logits,
            whole,
        )

    decode = decoder_of(network, anatomy)

    def states(batch: MicroBatch) -> torch.Tensor:
        output = decode(input_ids=batch.input_ids, use_cache=False, **batch.options)
        found: torch.Tensor = output.last_hidden_state
        return found

    return states, head


def _is_flash(anatomy: Anatomy) -> bool:
    """Whether attention derives the boundaries of packed rows from their positions."""
    kind = str(getattr(anatomy.decoder.config, "_attn_implementation", ""))
    return "flash" in kind and "position_ids" in inspect.signature(anatomy.decoder.forward).parameters


def _random_states(device: torch.device) -> list[torch.Tensor]:
    own = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *own]


def _restore(states: Sequence[torch.Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    for own in states[1:]:
        torch.cuda.set_rng_state(own, device)
