"""Tasks that papers compare by, beside GLUE: the hub's data sets with their columns, the order of labels and the metrics.

| tasks | paper |
|---|---|
| boolq, cb, copa, multirc, wic, wsc | SuperGLUE (Wang et al. 2019, arXiv 1905.00537), without RTE, which is GLUE's, and ReCoRD |
| squad, squad_v2 | Rajpurkar et al. 2016, arXiv 1606.05250; 2018, arXiv 1806.03822 |
| swag | Zellers et al. 2018, arXiv 1808.05326 |
| conll2003 | Tjong Kim Sang and De Meulder 2003, cs/0306050 |
| gsm8k | Cobbe et al. 2021, arXiv 2110.14168 |
| capybara | conversations of several turns |
| cnn_dailymail | See et al. 2017, arXiv 1704.04368 |
"""

from typing import Any

from autopeft.tasks.entry import Entry, HubDataset, Role
from autopeft.tasks.families import family_class
from autopeft.tasks.task import Task

_LONG = {"max_length": 256}
_LOGICAL = ("False", "True")
_TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")


def _entry(task: Task, hub_id: str, configuration: str | None, *roles: Role) -> Entry:
    return Entry(task, HubDataset(hub_id, configuration, {role: role for role in roles}))


def _super_glue(name: str, columns: tuple[str, ...], labels: tuple[str, ...], metrics: tuple[str, ...], **budget: int) -> Entry:
    extra = ("average_precision", "loss") if len(labels) == 2 else ("loss",)
    low_cost = family_class("classification").low_cost.with_overrides(**budget)
    task = Task(name, "classification", columns, "label", labels, metrics[0], (*metrics, *extra), low_cost)
    return _entry(task, "aps/super_glue", name, "train", "validation", "test")


def _other(name: str, kind: str, columns: tuple[str, ...], target: str, labels: tuple[str, ...] = (), **settings: Any) -> Task:
    family = family_class(kind)
    metrics = tuple(metric.name for metric in family.metrics_of(labels))
    return Task(name, kind, columns, target, labels, metrics[0], metrics, family.low_cost, settings)


def _language_model(name: str, columns: tuple[str, ...], target: str, kind: str = "causal_lm") -> Task:
    return Task(name, kind, columns, target, (), "loss", ("loss", "perplexity"), family_class(kind).low_cost)


BENCHMARKS = (
    _super_glue("boolq", ("question", "passage"), _LOGICAL, ("accuracy",), **_LONG),
    # The answers of MultiRC are judged one by one: its F1a is the F1 over all of them. As on MRPC, accuracy is searched.
    _super_glue("multirc", ("paragraph", "question", "answer"), _LOGICAL, ("accuracy", "f1"), **_LONG),
    _super_glue("cb", ("premise", "hypothesis"), ("entailment", "contradiction", "neutral"), ("accuracy", "macro_f1"), **_LONG),
    _super_glue("wic", ("sentence1", "sentence2", "word"), _LOGICAL, ("accuracy",)),
    _super_glue("wsc", ("text", "span1_text", "span2_text"), _LOGICAL, ("accuracy",)),
    _entry(
        _other("copa", "multiple_choice", ("premise", "question", "choice1", "choice2"), "label"),
        *("aps/super_glue", "copa", "train", "validation", "test"),
    ),
    _entry(
        _other("swag", "multiple_choice", ("sent1", "sent2", "ending0", "ending1", "ending2", "ending3"), "label"),
        *("allenai/swag", "regular", "train", "validation", "test"),
    ),
    _entry(
        _other("squad", "question_answering", ("question", "context"), "answers", unanswerable=False),
        *("rajpurkar/squad", None, "train", "validation"),
    ),
    _entry(
        _other("squad_v2", "question_answering", ("question", "context"), "answers", unanswerable=True),
        *("rajpurkar/squad_v2", None, "train", "validation"),
    ),
    _entry(
        _other("conll2003", "token_classification", ("tokens",), "ner_tags", _TAGS),
        *("lhoestq/conll2003", None, "train", "validation", "test"),
    ),
    _entry(_language_model("gsm8k", ("question",), "answer"), "openai/gsm8k", "main", "train", "test"),
    _entry(_language_model("capybara", ("messages",), "messages, learnt"), "trl-lib/Capybara", None, "train", "test"),
    Entry(
        _language_model("cnn_dailymail", ("article",), "highlights", kind="seq2seq"),
        # All of its 287,113 articles take more memory than a task may.
        HubDataset("abisee/cnn_dailymail", "3.0.0", {"train": "train[:100000]", "validation": "validation", "test": "test"}),
    ),
)
"""The registered tasks; `HubDataset` names where each can be downloaded, a folder of files does as well."""
