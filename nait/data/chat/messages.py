"""Messages: who says what, in any of the four ways in which a conversation is written.

{role, content} (chat), {from, value} (ShareGPT), texts that alternate, and turns of a question and its answer
({input, output} or [question, answer]). JSON text of any of them, one message by itself, and an object with a list
for each key ({role: [...], content: [...]}) are read too.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from nait.core.errors import did_you_mean
from nait.data.chat.reasoning import Handling, with_reasoning
from nait.data.columns.column_names import PAIRS, WEIGHTS
from nait.data.row_errors import RowError, checked_text, is_empty, kind

USER, ASSISTANT, SYSTEM = "user", "assistant", "system"
_ROLES = {
    **dict.fromkeys(("user", "human", "prompter"), USER),
    **dict.fromkeys(
        ("assistant", "gpt", "chatgpt", "bing", "bard", "model", "ai", "bot", "chatbot"), ASSISTANT
    ),
    **dict.fromkeys(("system", "developer"), SYSTEM),
}
_TOOL_ROLES = {
    "tool",
    "tool_call",
    "tool_calls",
    "tool_response",
    "function",
    "function_call",
    "function_response",
    "observation",
    "ipython",
}
_TOOL_KEYS = ("tool_calls", "function_call")
_REASONING = ("reasoning_content", "thinking", "reasoning", "thought")
_TOOL_PARTS = {
    *_TOOL_ROLES, "tool_use", "tool_result", "server_tool_use", "function_call_output", "functioncall",
    "functionresponse", "executablecode", "codeexecutionresult",
}  # fmt: skip
_TEXT_PARTS = ("text", "input_text", "output_text")
_THINKING_PARTS = ("thinking", "reasoning")
TEMPLATE = "marks of a chat template, read as text"
_MARKS = (
    "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|eot_id|>", "<|endoftext|>", "<start_of_turn>",
    "<end_of_turn>", "[/INST]", "<｜Assistant｜>",
)  # fmt: skip
CALLED = "a call to a tool by its marks, read as text"
_CALLS = ("<tool_call>", "<functioncall>", "[TOOL_CALLS]", "<|python_tag|>")
_ENDS = ("Assistant:", "ASSISTANT:", "### Response:", "### Output:", "### Answer:", "<|assistant|>", "</s>")
"""What a template writes itself: anywhere in a text, and at its end."""
_PLACEHOLDERS = re.compile(r"^\s*<(image|video|audio)>|<(image|video|audio)>\s*$")
PLACEHOLDER = "the placeholder of an image, a video or a sound, read as text"


class MessageKeys(NamedTuple):
    """The keys under which a message keeps its speaker and its text: the first of each that it has."""

    role: tuple[str, ...]
    text: tuple[str, ...]

    def __str__(self) -> str:
        return f"{{{self.role[0]}: ..., {self.text[0]}: ...}}"


CHAT = MessageKeys(
    ("role", "speaker", "author", "sender"), ("content", "text", "value", "message", "parts", "data")
)
SHAREGPT = MessageKeys(("from",), ("value", "content", "text"))
KNOWN = {*CHAT.role, *CHAT.text, *SHAREGPT.role, *_REASONING, *WEIGHTS, *_TOOL_KEYS}
"""Keys of a message that are read."""


class Said(NamedTuple):
    """One message: who speaks (user, assistant or system), what, and whether it is trained."""

    role: str
    text: str
    trained: bool = True


def looks_like(value: object, keys: MessageKeys) -> bool:
    """Whether a column's value is a conversation with these keys, as far as its first message tells."""
    value = _listed(value)
    if not isinstance(value, list):
        return False
    if not value:
        return True
    first = value[0]
    if isinstance(first, dict) and _speaker_key(first, keys):
        return True
    # Texts and pairs have no speakers: they are read as chat.
    return keys is CHAT and (_all_texts(value) or pair_keys(first) is not None or _is_pair(first))


def messages_of(
    value: object, column: str, keys: MessageKeys, handling: Handling, notes: list[str]
) -> list[Said]:
    """The messages of a conversation in any of its ways of writing. Raises: RowError."""
    value = _listed(value)
    if not isinstance(value, list):
        what = "is missing" if value is None else f"is {kind(value)}, not a list"
        mend = f"Write a list of messages, {keys}"
        if isinstance(value, str) and value.lstrip()[:2] in ("[{", "['"):
            mend += "; it is written as Python writes a list: write it by json.dumps"
        raise RowError(what, column=column, mend=mend)
    if _all_texts(value) and value:
        return [
            Said(
                (USER, ASSISTANT)[i % 2],
                _without_media(checked_text(text, column, f"[{i}]"), column, f"[{i}]"),
            )
            for i, text in enumerate(value)
        ]
    if value and (pair_keys(value[0]) or _is_pair(value[0])):
        said = [one for i, pair in enumerate(value) for one in _pair(pair, column, f"[{i}]", keys)]
        return [one for i, one in enumerate(said) if one.role != SYSTEM or one not in said[:i]]
    return [_message(message, column, f"[{i}]", keys, handling, notes) for i, message in enumerate(value)]


def _listed(value: object) -> object:
    """The list that JSON text, one message or an object of lists holds; any other value as it is."""
    speaker = _speaker_key(value, CHAT) or _speaker_key(value, SHAREGPT) if isinstance(value, dict) else ""
    if isinstance(value, dict) and speaker:
        held = {key: one for key, one in value.items() if isinstance(one, list)}
        if not isinstance(value[speaker], list):
            return [value]
        if len({len(one) for one in held.values()}) == 1:
            return [dict(zip(held, parts, strict=True)) for parts in zip(*held.values(), strict=True)]
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return found if isinstance(found, list) else value
    return value


def _speaker_key(message: dict[str, Any], keys: MessageKeys) -> str:
    """The key under which a message names its speaker; "" where it names none. A "type" may be one (LangChain)."""
    found = next((key for key in keys.role if key in message), "")
    if not found and keys is CHAT and str(message.get("type")).strip().casefold() in _ROLES:
        return "type"
    return found


def _all_texts(value: list[Any]) -> bool:
    return all(isinstance(one, str) for one in value)


def _is_pair(turn: object) -> bool:
    return isinstance(turn, list) and len(turn) == 2 and _all_texts(turn)


def pair_keys(turn: object) -> tuple[str, str] | None:
    """The keys of a turn that is written as a question and its answer."""
    if not isinstance(turn, dict) or any(role in turn for role in (*CHAT.role, *SHAREGPT.role)):
        return None
    return next((pair for pair in PAIRS if pair[0] in turn and pair[1] in turn), None)


def _pair(turn: object, column: str, at: str, keys: MessageKeys) -> tuple[Said, ...]:
    """The question and the answer of a turn, behind its system message if it has one (XTuner)."""
    system: tuple[Said, ...] = ()
    names = pair_keys(turn)
    if isinstance(turn, dict) and names:
        asked, answer = (checked_text(turn.get(name), column, f"{at}.{name}") for name in names)
        if not is_empty(turn.get(SYSTEM)):
            system = (Said(SYSTEM, checked_text(turn[SYSTEM], column, f"{at}.{SYSTEM}")),)
    elif isinstance(turn, list) and _is_pair(turn):
        asked, answer = (checked_text(text, column, at) for text in turn)
    else:
        mend = f"Write every turn as the first one, or messages as {keys}"
        raise RowError(
            f"holds {kind(turn)} in place of a question and its answer", column=column, at=at, mend=mend
        )
    return *system, Said(USER, asked), Said(ASSISTANT, answer)


def _message(
    message: object, column: str, at: str, keys: MessageKeys, handling: Handling, notes: list[str]
) -> Said:
    if not isinstance(message, dict):
        mend = f"Write it as {keys}"
        raise RowError(f"holds {kind(message)} in place of a message", column=column, at=at, mend=mend)
    role_key = _speaker_key(message, keys) or keys.role[0]
    name = checked_text(message.get(role_key), column, f"{at}.{role_key}")
    role = name.strip().casefold()
    if role in _TOOL_ROLES or any(not is_empty(message.get(key)) for key in _TOOL_KEYS):
        raise _tool_error(column, at)
    if role not in _ROLES:
        mend = f"'{name[:60]}' is not a role. {did_you_mean(name[:60], _ROLES)}"
        raise RowError("holds an unknown role", column=column, at=f"{at}.{role_key}", mend=mend)
    text_key = next((key for key in keys.text if message.get(key) is not None), keys.text[0])
    text, thought = spoken(message.get(text_key), column, f"{at}.{text_key}")
    if _ROLES[role] != ASSISTANT:
        return Said(_ROLES[role], text)
    thought = thought or next((message[key] for key in _REASONING if not is_empty(message.get(key))), "")
    return Said(
        ASSISTANT, with_reasoning(text, thought, column, at, handling, notes), _trained(message, column, at)
    )


def _tool_error(column: str, at: str) -> RowError:
    mend = "Tools are not supported: leave such rows out"
    return RowError("holds a call to a tool or its result", column=column, at=at, mend=mend)


def _trained(message: dict[str, Any], column: str, at: str) -> bool:
    """Whether an answer is trained: by `weight` 0 or 1, or by `train`, `training` or `loss` true or false."""
    for key in WEIGHTS:
        value = message.get(key)
        if value is None:
            continue
        if isinstance(value, (bool, int, float)) and value in (0, 1):
            return bool(value)
        mend = "Write 1 (trained) or 0 (context)"
        raise RowError(
            "holds a weight between context and trained", column=column, at=f"{at}.{key}", mend=mend
        )
    return True


def spoken(content: Any, column: str, at: str) -> tuple[str, str]:
    """The text of a message and its reasoning; of a list of parts, all of which must be text, the parts joined."""
    if isinstance(content, dict):
        content = [content] if "type" in content or "text" in content else content.get("parts", content)
    if isinstance(content, dict) and "content" in content:
        return spoken(content["content"], column, f"{at}.content")
    if not isinstance(content, list):
        return _without_media(checked_text(content, column, at), column, at), ""
    texts, thoughts = [], []
    for i, part in enumerate(content):
        spot = f"{at}[{i}]"
        form = part.get("type", "text") if isinstance(part, dict) else "text"
        if form in _THINKING_PARTS and isinstance(part, dict):
            thoughts.append(checked_text(part.get(form, part.get("text")), column, f"{spot}.{form}"))
            continue
        if isinstance(part, dict) and {str(name).casefold() for name in (form, *part)} & _TOOL_PARTS:
            raise _tool_error(column, spot)
        text = part.get("text") if isinstance(part, dict) else part
        if form not in _TEXT_PARTS or text is None:
            raise RowError(
                "holds a part that is not text",
                column=column,
                at=spot,
                mend="Give {type: text, text: ...} parts only",
            )
        texts.append(_without_media(checked_text(text, column, f"{spot}.text"), column, f"{spot}.text"))
    return "".join(texts), "\n".join(thoughts)


def shows_template(text: str) -> bool:
    """Whether a text holds the marks that a chat template writes by itself."""
    return text.rstrip().endswith(_ENDS) or any(mark in text for mark in _MARKS)


def shows_call(text: str) -> bool:
    """Whether a text calls a tool by the marks of a chat template."""
    return any(mark in text for mark in _CALLS)


def shows_media(text: str) -> bool:
    """Whether a text begins or ends with the placeholder of an image, a video or a sound."""
    return bool(_PLACEHOLDERS.search(text))


def _without_media(text: str, column: str, at: str) -> str:
    """The text, unless it begins or ends with the placeholder of an image, a video or a sound."""
    if shows_media(text):
        raise RowError(
            "holds the placeholder of an image, a video or a sound",
            column=column,
            at=at,
            mend="A language model sees no image: leave such rows out",
        )
    return text


def is_messages(value: object) -> bool:
    """Whether it is a list of messages that name their speakers, or one such message."""
    if isinstance(value, dict):
        speaker = next((value[key] for key in (*CHAT.role, *SHAREGPT.role, "type") if key in value), None)
        name = speaker[0] if isinstance(speaker, list) and speaker else speaker
        value = _listed(value) if isinstance(name, str) and name.strip().casefold() in _ROLES else None
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return False
    return looks_like(value, SHAREGPT) or bool(_speaker_key(value[0], CHAT))


def speakers(value: object) -> list[str]:
    """Who says each message of a conversation, user, assistant or system; "" for one that names nobody known."""
    found = _listed(value)
    said = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    names = [str(one.get(_speaker_key(one, CHAT) or _speaker_key(one, SHAREGPT))) for one in said]
    return [_ROLES.get(name.strip().casefold(), "") for name in names]
