"""The nine GLUE tasks (Wang et al. 2018, arXiv 1804.07461): columns, label order and official metrics."""

from autopeft.budget import Budget
from autopeft.tasks.entry import Entry, HubDataset
from autopeft.tasks.task import Task

# The only place for these numbers. The smallest sets are used whole, of the others 2,000 examples are seen twice, in small batches:
# on MRPC a good configuration leaves the majority class (0.684) for 0.75 with 2 x 2,000 examples, with 4 x 1,000 only for 0.70.
# 500 validation examples give accuracy a standard error of about two points.
_CAPPED = Budget(train_examples=2000, epochs=2, evaluation_examples=500, batch_size=16)
_WHOLE = Budget(train_examples=None, epochs=2, evaluation_examples=500, batch_size=16)

_PAIR = ("sentence1", "sentence2")
_ENTAILMENT = ("entailment", "not_entailment")


def _classification(
    name: str,
    columns: tuple[str, ...],
    labels: tuple[str, ...],
    official: tuple[str, ...] = ("accuracy",),
    budget: Budget = _CAPPED,
    suffix: str = "",
) -> Entry:
    extra = ("average_precision", "loss") if len(labels) == 2 else ("loss",)
    task = Task(name, "classification", columns, "label", labels, official[0], (*official, *extra), budget)
    splits = {"train": "train", "validation": f"validation{suffix}", "test": f"test{suffix}"}
    return Entry(task, HubDataset("nyu-mll/glue", name, splits))


def _regression(name: str, official: tuple[str, ...]) -> Entry:
    task = Task(name, "regression", _PAIR, "label", (), official[0], (*official, "loss"), _CAPPED)
    return Entry(task, HubDataset("nyu-mll/glue", name))


# MRPC and QQP have two official metrics. Accuracy is searched: F1 rewards always answering "equivalent" (0.81 on MRPC), so that a
# model which learnt nothing looks good. STS-B has two as well: Spearman is searched, since it asks for the order and not the scale.
GLUE = (
    _classification("cola", ("sentence",), ("unacceptable", "acceptable"), ("matthews_correlation", "accuracy")),
    _classification("mnli", ("premise", "hypothesis"), ("entailment", "neutral", "contradiction"), suffix="_matched"),
    _classification("mrpc", _PAIR, ("not_equivalent", "equivalent"), ("accuracy", "f1")),
    _classification("qnli", ("question", "sentence"), _ENTAILMENT),
    _classification("qqp", ("question1", "question2"), ("not_duplicate", "duplicate"), ("accuracy", "f1")),
    _classification("rte", _PAIR, _ENTAILMENT, budget=_WHOLE),
    _classification("sst2", ("sentence",), ("negative", "positive")),
    _regression("stsb", ("spearman", "pearson")),
    _classification("wnli", _PAIR, ("not_entailment", "entailment"), budget=_WHOLE),
)
"""MNLI validates on the matched genres; "validation_mismatched" exists on the hub too."""
