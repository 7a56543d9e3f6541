"""Parser for message lists in the four common notations.

{role, content} (chat), {from, value} (ShareGPT), alternating texts, and question-answer turns ({input, output} or
[question, answer]). Each may also be JSON text, a single message, or an object with a list per key
({role: [...], content: [...]}).
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from nait.data.chat.flags import PARTS, is_trained, trained_prompt
from nait.data.chat.media import check_no_attachments, checked_media
from nait.data.chat.reasoning import Handling, join_reasoning
from nait.data.chat.roles import (
    ASSISTANT,
    ROLES,
    SYSTEM,
    USER,
    WRITE_ROLES,
    Message,
    alternating_texts,
    spoken_texts,
    two_speakers,
    unknown_role,
)
from nait.data.field_names import PAIRS, WEIGHTS
from nait.data.row_errors import RowError, checked_text, is_empty, kind

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


class MessageKeys(NamedTuple):
    """Candidate keys for the role and the text of a message, in order of precedence."""

    role: tuple[str, ...]
    text: tuple[str, ...]

    def __str__(self) -> str:
        return f"{{{self.role[0]}: ..., {self.text[0]}: ...}}"


CHAT = MessageKeys(
    ("role", "speaker", "author", "sender"),
    ("content", "text", "value", "message", "parts", "data", "utterance"),
)
SHAREGPT = MessageKeys(("from",), ("value", "content", "text"))
KNOWN = frozenset({*CHAT.role, *CHAT.text, *SHAREGPT.role, *_REASONING, *WEIGHTS, PARTS, *_TOOL_KEYS})
"""Message keys that are read."""
_TEXT_KEYS = tuple(dict.fromkeys((*CHAT.text, *SHAREGPT.text)))
_WITH_CONTENT = frozenset((*_TEXT_KEYS, *_REASONING, *_TOOL_KEYS))
UNKNOWN_ROLE = "holds an unknown role"
_NONE: frozenset[str] = frozenset()


def is_conversation(value: object, keys: MessageKeys) -> bool:
    """Whether a value is a conversation with these keys, judged by its first message."""
    value = as_message_list(value)
    if not isinstance(value, list):
        return False
    if not value:
        return True
    first = value[0]
    if isinstance(first, dict) and _role_key(first, keys):
        return True
    # Plain texts and pairs have no role key: they count as chat.
    return keys is CHAT and (_all_texts(value) or turn_keys(first) is not None or _is_pair(first))


def read_messages(
    value: object,
    column: str,
    keys: MessageKeys,
    handling: Handling,
    notes: list[str],
    speakers: tuple[object, str] | None = None,
) -> list[Message]:
    """Messages of a conversation in any notation. `speakers`: list of one speaker per text, and its column.

    Raises: RowError.
    """
    value = as_message_list(value)
    if not isinstance(value, list):
        what = "is missing" if value is None else f"is {kind(value)}, not a list"
        fix = f"Write a list of messages, {keys}"
        if isinstance(value, str) and value.lstrip()[:2] in ("[{", "['"):
            fix += "; this is a Python list literal: write it with json.dumps"
        raise RowError(what, column=column, fix=fix)
    if _all_texts(value) and value:
        texts = [_text(text, column, f"[{i}]") for i, text in enumerate(value)]
        return spoken_texts(texts, column, *speakers) if speakers else alternating_texts(texts, column)
    if value and (turn_keys(value[0]) or _is_pair(value[0])):
        messages = [one for i, pair in enumerate(value) for one in _pair(pair, column, f"[{i}]", keys)]
        return [one for i, one in enumerate(messages) if one.role != SYSTEM or one not in messages[:i]]
    try:
        return [_message(message, column, f"[{i}]", keys, handling, notes) for i, message in enumerate(value)]
    except RowError as error:
        lists = _lists_of(value, column, keys) if error.what == UNKNOWN_ROLE else ""
        if not lists:
            raise
        end = "" if error.fix.endswith("?") else "."
        fix = f"{error.fix}{end} Of its two speakers, the first is the user with data.columns={lists}"
        raise RowError(error.what, column=error.column, at=error.at, fix=fix) from None


def _lists_of(messages: list[Any], column: str, keys: MessageKeys) -> str:
    first = messages[0] if isinstance(messages[0], dict) else {}
    text = next((key for key in keys.text if key in first), "")
    return two_speakers(messages, column, _role_key(first, keys), text)


def as_message_list(value: object) -> object:
    """List of messages in JSON text, a single message or an object of lists; any other value unchanged."""
    speaker = _role_key(value, CHAT) or _role_key(value, SHAREGPT) if isinstance(value, dict) else ""
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


def unread_texts(message: dict[str, Any]) -> frozenset[str]:
    """Text keys of a message that are not read, because another one is read and differs."""
    held = [key for key in _TEXT_KEYS if not is_empty(message.get(key))]
    return frozenset(key for key in held[1:] if message[key] != message[held[0]]) if len(held) > 1 else _NONE


def _role_key(message: dict[str, Any], keys: MessageKeys) -> str:
    """Key that holds the role of a message, LangChain's "type" included; "" when there is none."""
    found = next((key for key in keys.role if key in message), "")
    if not found and keys is CHAT and str(message.get("type")).strip().casefold() in ROLES:
        return "type"
    return found


def _all_texts(value: list[Any]) -> bool:
    return all(isinstance(one, str) for one in value)


def _is_pair(turn: object) -> bool:
    return isinstance(turn, list) and len(turn) == 2 and _all_texts(turn)


def turn_keys(turn: object) -> tuple[str, str] | None:
    """Question and answer keys of a turn; None for anything else."""
    if not isinstance(turn, dict) or any(role in turn for role in (*CHAT.role, *SHAREGPT.role)):
        return None
    return next((pair for pair in PAIRS if pair[0] in turn and pair[1] in turn), None)


def _pair(turn: object, column: str, at: str, keys: MessageKeys) -> tuple[Message, ...]:
    """Question and answer of a turn, preceded by its system message if present (XTuner)."""
    system: tuple[Message, ...] = ()
    trained = True
    names = turn_keys(turn)
    if isinstance(turn, dict) and names:
        _check_supported(turn, column, at)
        question, answer = (_text(turn.get(name), column, f"{at}.{name}") for name in names)
        trained = is_trained(turn, column, at)
        if not is_empty(turn.get(SYSTEM)):
            system = (Message(SYSTEM, checked_text(turn[SYSTEM], column, f"{at}.{SYSTEM}")),)
    elif isinstance(turn, list) and _is_pair(turn):
        question, answer = (_text(text, column, at) for text in turn)
    else:
        fix = f"Write every turn like the first one, or write messages as {keys}"
        raise RowError(
            f"holds {kind(turn)} instead of a question and its answer", column=column, at=at, fix=fix
        )
    return *system, Message(USER, question), Message(ASSISTANT, answer, trained)


def _message(
    message: object, column: str, at: str, keys: MessageKeys, handling: Handling, notes: list[str]
) -> Message:
    if not isinstance(message, dict):
        fix = f"Write it as {keys}"
        raise RowError(f"holds {kind(message)} instead of a message", column=column, at=at, fix=fix)
    role_key = _role_key(message, keys) or keys.role[0]
    if isinstance(message.get(role_key), dict):
        raise RowError("holds a speaker as an object", column=column, at=f"{at}.{role_key}", fix=WRITE_ROLES)
    name = checked_text(message.get(role_key), column, f"{at}.{role_key}")
    role = name.strip().casefold()
    if role in _TOOL_ROLES:
        raise _tool_error(column, at)
    _check_supported(message, column, at)
    if role not in ROLES:
        raise RowError(UNKNOWN_ROLE, column=column, at=f"{at}.{role_key}", fix=unknown_role(name))
    held = [key for key in keys.text if message.get(key) is not None]
    text_key = next((key for key in held if not is_empty(message[key])), held[0] if held else keys.text[0])
    text, reasoning = text_and_reasoning(message.get(text_key), column, f"{at}.{text_key}")
    if ROLES[role] != ASSISTANT:
        notes += trained_prompt(message)
        return Message(ROLES[role], text)
    reasoning = reasoning or next((message[key] for key in _REASONING if not is_empty(message.get(key))), "")
    return Message(
        ASSISTANT,
        join_reasoning(text, reasoning, column, at, handling, notes),
        is_trained(message, column, at),
    )


def _text(value: object, column: str, at: str) -> str:
    """Text without media placeholders. Raises: RowError."""
    return checked_media(checked_text(value, column, at), column, at)


def _check_supported(message: dict[str, Any], column: str, at: str) -> None:
    """Raises: RowError for a message with tool calls, images, video, audio or files."""
    if any(not is_empty(message.get(key)) for key in _TOOL_KEYS):
        raise _tool_error(column, at)
    check_no_attachments(message, column, at)


def _tool_error(column: str, at: str) -> RowError:
    fix = "Tools are not supported: remove such rows"
    return RowError("holds a tool call or a tool result", column=column, at=at, fix=fix)


def text_and_reasoning(content: Any, column: str, at: str) -> tuple[str, str]:
    """Text and reasoning of a message; text parts are joined. Raises: RowError for parts that are not text."""
    if isinstance(content, dict):
        content = [content] if "type" in content or "text" in content else content.get("parts", content)
    if isinstance(content, dict) and "content" in content:
        return text_and_reasoning(content["content"], column, f"{at}.content")
    if not isinstance(content, list):
        return _text(content, column, at), ""
    texts, reasonings = [], []
    for i, part in enumerate(content):
        spot = f"{at}[{i}]"
        form = part.get("type", "text") if isinstance(part, dict) else "text"
        if form in _THINKING_PARTS and isinstance(part, dict):
            reasonings.append(checked_text(part.get(form, part.get("text")), column, f"{spot}.{form}"))
            continue
        if isinstance(part, dict) and {str(name).casefold() for name in (form, *part)} & _TOOL_PARTS:
            raise _tool_error(column, spot)
        if isinstance(part, dict) and {*part} == {"type"} and form.startswith("step"):
            continue  # Vercel's step-start
        text = part.get("text") if isinstance(part, dict) else part
        if form not in _TEXT_PARTS or text is None:
            raise RowError(
                "holds a part that is not text",
                column=column,
                at=spot,
                fix="Use only {type: text, text: ...} parts",
            )
        texts.append(_text(text, column, f"{spot}.text"))
    return "".join(texts), "\n".join(reasonings)


def is_messages(value: object) -> bool:
    """Whether a value is a list of messages with roles, or one such message."""
    if isinstance(value, dict):
        speaker = next((value[key] for key in (*CHAT.role, *SHAREGPT.role, "type") if key in value), None)
        name = speaker[0] if isinstance(speaker, list) and speaker else speaker
        name = None if _WITH_CONTENT.isdisjoint(value) else name
        value = as_message_list(value) if isinstance(name, str) and name.strip().casefold() in ROLES else None
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return False
    return is_conversation(value, SHAREGPT) or bool(_role_key(value[0], CHAT))


def speaker_roles(value: object) -> list[str]:
    """Role of each message of a conversation: user, assistant or system; "" for an unknown role."""
    found = as_message_list(value)
    messages = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    names = [str(one.get(_role_key(one, CHAT) or _role_key(one, SHAREGPT))) for one in messages]
    return [ROLES.get(name.strip().casefold(), "") for name in names]
