"""The kinds of tasks by name; each is one module, imported when it is first used."""

from importlib import import_module
from typing import TYPE_CHECKING

from autopeft.errors import UnknownNameError
from autopeft.tasks.family import Family

if TYPE_CHECKING:
    from autopeft.tasks.task import Task

_FAMILIES = {
    "causal_lm": "CausalLM",
    "question_answering": "QuestionAnswering",
    "multiple_choice": "MultipleChoice",
    "token_classification": "TokenClassification",
    "embedding": "Embedding",
    "image_classification": "ImageClassification",
    "audio_classification": "AudioClassification",
    "speech_to_text": "SpeechToText",
    "speech_seq2seq": "SpeechSeq2Seq",
    "seq2seq": "Seq2Seq",
    "multi_label": "MultiLabel",
    "classification": "Classification",
    "regression": "Regression",
}
"""By name, which is the module's too, its class. A file without a kind is of the first whose columns it has."""


def family_names() -> tuple[str, ...]:
    """Return every kind of task."""
    return tuple(_FAMILIES)


def family_class(name: str) -> type[Family]:
    """Return a kind of task.

    Raises:
        UnknownNameError: There is none of this name.
    """
    if name not in _FAMILIES:
        raise UnknownNameError("kind of task", name, _FAMILIES)
    found: type[Family] = getattr(import_module(f"autopeft.tasks.families.{name}"), _FAMILIES[name])
    return found


def family_of(task: "Task") -> Family:
    """Return what a task's kind does, for that task."""
    return family_class(task.kind)(task)
