"""Column and key names used by public data sets and exports, in order of precedence. Pure."""

from __future__ import annotations

SPEAKERS = ("role", "from", "speaker", "author", "sender")
"""Message keys for the role."""
CONVERSATIONS = ("messages", "conversation", "conversations")
MORE_CONVERSATIONS = ("dialogue", "dialog", "chat", "data", "contents")
PAIRS = (
    ("prompt", "completion"),
    ("question", "answer"),
    ("query", "response"),
    ("question", "response"),
    ("prompt", "response"),
    # With these, `input` is the input of the prompt.
    ("prompt", "output"),
    ("question", "output"),
    ("query", "output"),
    ("input", "output"),
    ("message", "response"),
    ("inputs_pretokenized", "targets_pretokenized"),
    ("inputs", "targets"),
    ("input", "target"),
    ("user", "assistant"),
    ("human", "assistant"),
    ("user", "bot"),
    ("human", "bot"),
    ("user", "model"),
    ("user", "ai"),
    ("human", "ai"),
    ("problem", "solution"),
    ("problem", "generated_solution"),
    ("question", "generated_solution"),
    ("instruction", "generation"),
    ("prompt", "generation"),
    ("question", "generation"),
    ("problem", "generation"),
    ("problem", "answer"),
    ("instruction", "answer"),
    ("instruction", "completion"),
    ("instruction", "target"),
    ("prompt", "answer"),
    ("question", "solution"),
    ("query", "answer"),
    ("input", "response"),
    ("input", "answer"),
    ("message_1", "message_2"),
)
"""Question and answer columns."""
FIRST_PAIRS = 5
"""Number of `PAIRS` tried before the rarer layouts."""
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
"""Question column and the column that selects one of the options, in rows with options."""
SYSTEMS = (
    "system",
    "system_prompt",
    "system_message",
    "systemInstruction",
    "system_instruction",
    "meta_instruction",
    "preamble",
)
INPUTS = (
    "input", "context", "passage", "article", "story", "paragraph", "body", "document", "background", "excerpt",
    "narrative",
    "contexts", "retrieved_contexts", "passages", "retrieved_passages", "documents", "retrieved_documents",
    "paragraphs", "ctxs", "chunks", "retrieved_chunks", "reference_contexts", "support", "hint",
    "retrieved_context", "retrieval_context",
)  # fmt: skip
TASK_DEFINITION = ("definition", "targets", ("inputs",))
"""Task definition, answers and inputs (Natural Instructions)."""
SPEAKER_LISTS = ("speakers", "speaker", "speaker_ids", "roles")
"""Columns with one speaker per text of a conversation (SODA)."""
LABELS = ("label", "kto_tag", "is_correct", "is_desirable", "is_safe")
"""Columns that mark an answer as desirable or not (KTO, P3, OpenMathInstruct, BeaverTails)."""
WEIGHTS = (
    "weight", "train", "training", "trainable", "loss", "loss_mask", "mask", "loss_weight", "loss_scale",
    "output_with_loss", "need_loss", "compute_loss", "is_trainable",
)  # fmt: skip
ROW_WEIGHTS = ("weight", "train", "training", "trainable", "loss_mask", "loss_weight", "sample_weight")
"""Message keys and row columns that control whether an answer is trained."""
HISTORIES = ("history", "chat_history")
OPTIONS = ("options", "choices", "endings", "answer_options", "mc_answers")
OPTION_COLUMNS = (
    ("A", "B", "C", "D", "E"),
    ("A", "B", "C", "D"),
    ("opa", "opb", "opc", "opd"),
    ("option_a", "option_b", "option_c", "option_d"),
    ("option1", "option2"),
    ("sol1", "sol2"),
)
"""Option columns: one option per column."""
REASONINGS = ("reasoning_content", "thinking", "reasoning", "complex_cot")
SWITCHES = frozenset({"on", "off", "yes", "no", "true", "false", "none", "low", "medium", "high"})
"""Values of a reasoning column that hold only a setting (on, off or an effort level)."""
TOOLS = ("tools", "functions")
MEDIA = (
    "image", "images", "video", "videos", "audio", "audios", "img", "imgs", "picture", "pictures", "speech",
    *(f"{name}_{end}" for name in ("image", "video", "audio") for end in (
        "path", "paths", "url", "urls", "file", "files", "base64", "base64_str", *range(10)
    )),
)  # fmt: skip
ATTACHMENTS = ("attachments", "experimental_attachments", "files", "file", "media", "medias", "image_url")
"""Message keys for files, in addition to `MEDIA`."""
SUBTASKS = ("subtask",)
INSTRUCTIONS = frozenset({"instruction", "question", "query", "definition", "task_definition"})
"""Columns that usually hold the question: a warning names one that a pair of other columns leaves unused."""
QUESTION_WORDS = (
    "prompt", "question", "instruction", "query", "problem", "input", "text", "article", "document", "dialogue",
    "turn", "post", "history", "report", "task", "description", "request",
)  # fmt: skip
ANSWER_WORDS = (
    "chosen", "answer", "answers", "response", "output", "completion", "solution", "canonical_solution",
    "correct_answer", "best_answer", "correct", "target", "summary", "highlights", "code", "label", "reference",
    "annotation", "ground_truth", "ideal", "generation", "resolution", "reply", "gold", "sentiment", "emotion",
)  # fmt: skip
"""Words that identify question and answer columns when an error message suggests a mapping."""
ASKED = ("prompt", "question", "instruction", "query", "problem")
"""Words of a question that hold it even where a nested name is nearer to a known one."""
ANSWER_NAMES = frozenset({*ANSWER_WORDS, "attempt", "rationale", "cot"})
"""Last words of columns that hold an answer to the same question, in the singular."""
TEXT_COLUMNS = ("text", "content")
"""Columns that hold the answer when another column is the question."""
CHOSEN = ("chosen", "preferred")
REJECTED = ("rejected", "non_preferred", "incorrect", "wrong")
"""Name parts of the chosen and rejected columns of preference pairs."""
METADATA_WORDS = frozenset({
    "id", "uid", "role", "status", "score", "uuid", "hash", "index", "idx", "type", "kind", "source", "url", "model",
    "language", "lang",
    "date", "time", "timestamp", "at", "category", "topic", "title", "name", "key", "split", "prefix", "system",
    "meta instruction", "version", "author", "node", "dataset", "cluster", "src",
    "difficulty", "level", "domain", "genre",
    "annotator", "poet", "artist", "path", "repo", "repository", "license", "filename", "sha", "hexsha",
})  # fmt: skip
"""Last words of metadata names, in the singular: neither question nor answer."""
