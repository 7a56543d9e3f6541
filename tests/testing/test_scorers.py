"""All scorers of ours keep the scorers' contract."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from nait.baselines.controls.length import Length
from nait.baselines.controls.random import LengthMatched, Random
from nait.baselines.controls.references import Full
from nait.baselines.controls.tilted import TiltedRandom
from nait.baselines.file_scores import FileScores
from nait.baselines.ifd import Ifd
from nait.baselines.less import Less
from nait.baselines.perplexity import Perplexity
from nait.baselines.rds import Rds
from nait.baselines.selectit import SelectIt
from nait.baselines.shared.warmup import Warmup
from nait.core.contracts import Scorer
from nait.core.dataset.examples import Pool, Target
from nait.models.prompts.templates import TextTemplate
from nait.nano.oracle import Oracle
from nait.nano.pools import nano_pool, nano_targets
from nait.neurons.scorer import Nait
from nait.testing import ScorerContract
from nait.testing.tiny_model import TEMPLATE
from nait.testing.tiny_rows import tiny_pool
from nait.training.adapters.lora import LoraRecipe
from nait.training.recipes.fine_tune import FineTune

DIRECT = TextTemplate(prompt="A: ", system="", unconditional=True)
WARMUP = FineTune(
    epochs=1, batch_size=4, learning_rate=0.05, checkpoints="epoch", lora=LoraRecipe(r=2, dropout=0.0)
)
WORLD_ROWS = 100
SCORES = tempfile.TemporaryDirectory(prefix="nait-scores-")


class TestRandom(ScorerContract):
    def scorer(self) -> Scorer:
        return Random()

    def reseeded(self) -> Scorer:
        return Random(1)


class TestFull(ScorerContract):
    def scorer(self) -> Scorer:
        return Full()


class TestLength(ScorerContract):
    def scorer(self) -> Scorer:
        return Length()


class TestLengthInCharacters(ScorerContract):
    def scorer(self) -> Scorer:
        return Length("characters")


class TestPerplexity(ScorerContract):
    def scorer(self) -> Scorer:
        return Perplexity()


class TestPerplexityOfOtherTexts(ScorerContract):
    def scorer(self) -> Scorer:
        return Perplexity("whole", template=DIRECT, max_length=60)


class TestIfd(ScorerContract):
    def scorer(self) -> Scorer:
        return Ifd(TEMPLATE, DIRECT, highest=None)


class TestIfdWithAWarmup(ScorerContract):
    def scorer(self) -> Scorer:
        return self.seeded(0)

    def reseeded(self) -> Scorer:
        return self.seeded(1)

    def seeded(self, seed: int) -> Ifd:
        warmup = Warmup(WARMUP, clusters=3, rows_each=1, seed=seed)
        return Ifd(TEMPLATE, DIRECT, ratio="perplexities", highest=None, warmup=warmup)


class TestRds(ScorerContract):
    def scorer(self) -> Scorer:
        return Rds()


class TestRdsReduced(ScorerContract):
    def scorer(self) -> Scorer:
        return Rds(reduce="max")


class TestSelectIt(ScorerContract):
    def scorer(self) -> Scorer:
        rated = TextTemplate(prompt="\nAsked: {user}\nSaid: ")
        return SelectIt(["Rate it.", "How good?"], rated, "\nDigit:\n", max_length=200)


class TestLess(ScorerContract):
    def scorer(self) -> Scorer:
        return Less(WARMUP, warmup_ratio=0.3)

    def reseeded(self) -> Scorer:
        return Less(WARMUP, warmup_ratio=0.3, seed=1)


class TestNait(ScorerContract):
    def scorer(self) -> Scorer:
        return Nait()


class TestNaitContrast(ScorerContract):
    """As conf/selector/nait_contrast.yaml, with a sample of the pool that a seed draws."""

    def scorer(self) -> Scorer:
        return self.seeded(0)

    def reseeded(self) -> Scorer:
        return self.seeded(1)

    def seeded(self, seed: int) -> Nait:
        return Nait(
            site="mlp", feature="mean", reference_feature="mean", direction="contrast", sign="none",
            layer_weight="zscore", pool_sample=6, seed=seed,
        )  # fmt: skip


class TestNaitOfFewLayers(ScorerContract):
    def scorer(self) -> Scorer:
        return Nait(layers=[1, 2], similarity="cosine", center=True, end_token=True, early_exit=True)


class TestLengthMatched(ScorerContract):
    """Of a pool in which several rows are of one length."""

    def pool(self) -> Pool:
        return tiny_pool(40)

    def scorer(self) -> Scorer:
        return LengthMatched(Nait())

    def reseeded(self) -> Scorer:
        return LengthMatched(Nait(), seed=1)


class TestOracle(ScorerContract):
    """Of the embedded world's own pool."""

    def scorer(self) -> Scorer:
        return Oracle(WORLD_ROWS)

    def reseeded(self) -> Scorer:
        return Oracle(WORLD_ROWS, seed=1)

    def pool(self) -> Pool:
        return nano_pool(WORLD_ROWS)

    def targets(self) -> list[Target]:
        return nano_targets(["math", "code"])


class TestFileScores(ScorerContract):
    """Of a file that scores each row of the kit's pool."""

    def scorer(self) -> Scorer:
        path = Path(SCORES.name) / "scores.jsonl"
        rows = [{"id": key, "score": (7 * k) % 11 + k / 100} for k, key in enumerate(self.pool().ids)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return FileScores(str(path))


class TestTiltedRandom(ScorerContract):
    """Of a pool with several clusters."""

    def pool(self) -> Pool:
        return tiny_pool(40)

    def scorer(self) -> Scorer:
        return TiltedRandom(clusters=4)

    def reseeded(self) -> Scorer:
        return TiltedRandom(1, clusters=4)
