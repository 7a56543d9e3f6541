"""The world's families: five capabilities, two fillers, and a look-alike family for each capability."""

from __future__ import annotations

from nait.nano.families import arithmetic, code, facts, fillers, logic, lookalikes, translation
from nait.nano.problems import Skill

CAPABILITIES: dict[str, tuple[Skill, ...]] = {
    "facts": facts.SKILLS,
    "math": arithmetic.SKILLS,
    "logic": logic.SKILLS,
    "code": code.SKILLS,
    "translation": translation.SKILLS,
}
PRACTICE = {**CAPABILITIES, "logic": logic.PRACTICE}
"""The skills in pretraining text."""
FAMILIES: dict[str, tuple[Skill, ...]] = {
    **CAPABILITIES,
    "chat": fillers.CHAT,
    "story": fillers.STORY,
    **{f"lookalike_{name}": skills for name, skills in lookalikes.LOOKALIKES.items()},
}
