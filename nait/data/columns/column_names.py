"""Words: how public data sets and exports call the parts of an example. Order is precedence. Pure."""

from __future__ import annotations

SPEAKERS = ("role", "from", "speaker", "author", "sender")
"""Keys under which a message names who speaks."""
CONVERSATIONS = ("messages", "conversation", "conversations")
MORE_CONVERSATIONS = ("dialogue", "dialog", "chat", "data", "contents")
PAIRS = (
    ("prompt", "completion"),
    ("question", "answer"),
    ("query", "response"),
    ("question", "response"),
    ("prompt", "response"),
    ("input", "output"),
    ("message", "response"),
    ("inputs_pretokenized", "targets_pretokenized"),
    ("inputs", "targets"),
    ("input", "target"),
    ("user", "assistant"),
    ("human", "assistant"),
    ("problem", "solution"),
    ("problem", "generated_solution"),
    ("question", "generated_solution"),
    ("problem", "answer"),
    ("instruction", "answer"),
    ("instruction", "completion"),
    ("instruction", "target"),
    ("prompt", "answer"),
    ("prompt", "output"),
    ("question", "output"),
    ("question", "solution"),
    ("query", "answer"),
    ("input", "response"),
    ("input", "answer"),
    ("message_1", "message_2"),
)
"""A question and its answer."""
FIRST_PAIRS = 5
"""So many of them are tried before anything else that is rarer."""
CHOICE_PAIRS = (
    ("question", "answer_index"),
    ("question", "answer_idx"),
    ("question", "answerKey"),
    ("question", "cop"),
    ("question", "correct"),
    ("question", "label"),
    ("question", "correct_answer"),
    ("question_stem", "answerKey"),
    ("ctx", "label"),
    ("goal", "label"),
    ("sentence", "answer"),
    ("query", "gold"),
)
"""A question and what names one of its options, where a row has options."""
SYSTEMS = (
    "system",
    "system_prompt",
    "system_message",
    "systemInstruction",
    "system_instruction",
    "meta_instruction",
    "preamble",
)
INPUTS = ("input", "context", "passage", "article", "story", "paragraph", "body")
DEFINED = ("definition", "targets", ("inputs",))
"""An instruction that a task's rows share, the answers, and the inputs (Natural Instructions)."""
LABELS = ("label", "kto_tag")
"""What marks an answer as wanted or not (KTO)."""
WEIGHTS = ("weight", "train", "training", "loss")
ROW_WEIGHTS = ("weight", "train")
"""What says of an answer, and of a whole row, whether it is trained."""
HISTORIES = ("history", "chat_history")
OPTIONS = ("options", "choices", "endings")
SPREAD_OPTIONS = (
    ("A", "B", "C", "D", "E"),
    ("A", "B", "C", "D"),
    ("opa", "opb", "opc", "opd"),
    ("option_a", "option_b", "option_c", "option_d"),
    ("option1", "option2"),
    ("sol1", "sol2"),
)
"""Options that have a column each."""
REASONINGS = ("reasoning_content", "thinking", "reasoning", "complex_cot")
SWITCHES = frozenset({"on", "off", "yes", "no", "true", "false", "none", "low", "medium", "high"})
"""What a column of that name says when it only tells whether, or how much, was reasoned."""
TOOLS = ("tools", "functions")
MEDIA = ("image", "images", "video", "videos", "audio", "audios")
SUBTASKS = ("subtask",)
ASKING = (
    "prompt", "question", "instruction", "query", "problem", "input", "text", "article", "document", "dialogue",
    "turn",
)  # fmt: skip
ANSWERING = (
    "chosen", "answer", "answers", "response", "output", "completion", "solution", "canonical_solution",
    "correct_answer", "best_answer", "correct", "target", "summary", "highlights", "code", "label", "reference",
    "annotation", "ground_truth",
)  # fmt: skip
"""Words by which a message guesses the mapping of a row that no layout fits."""
SAYING = ("text", "content")
"""Columns that hold the answer where another one is named as the question."""
CHOSEN = ("chosen", "preferred")
REJECTED = ("rejected", "non_preferred", "incorrect", "wrong")
"""Pieces of the names of a preference pair's two halves."""
ASIDES = frozenset({
    "id", "uid", "role", "status", "score", "uuid", "hash", "index", "idx", "type", "kind", "source", "url", "model",
    "language", "lang",
    "date", "time", "timestamp", "at", "category", "topic", "title", "name", "key", "split", "prefix", "system",
    "meta instruction", "version", "author", "node",
})  # fmt: skip
"""Last pieces of names, in the singular, that are neither a question nor an answer."""
