import hashlib
import re
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from autopeft.tasks import TaskData, load
from autopeft.tasks.demo.generation import SIZES, generate
from autopeft.tasks.demo.rewrites import REWRITES, Dice, comparison, detail, story
from autopeft.tasks.demo.vocabulary import COMPARATIVES, DEEDS, SOMEONE, SOMETHING
from tests.tasks.helpers import examples


@pytest.fixture(scope="module")
def demo() -> TaskData:
    return load("demo", with_test=True)


def test_sizes_and_balance(demo: TaskData) -> None:
    assert demo.test is not None
    assert [len(split) for split in (demo.train, demo.validation, demo.test)] == [800, 400, 600]
    for split in (demo.train, demo.validation, demo.test):
        assert split.targets.mean() == 0.5
    assert demo.task.labels == ("different", "same")


def test_no_pair_occurs_twice_in_either_direction(demo: TaskData) -> None:
    assert demo.test is not None
    pairs = [frozenset(texts) for split in (demo.train, demo.validation, demo.test) for *texts, _ in examples(split)]
    assert len(set(pairs)) == len(pairs) == sum(SIZES.values())
    assert all(len(pair) == 2 for pair in pairs)


def test_the_data_is_the_same_everywhere() -> None:
    # Pinned on purpose: results on the demo task are comparable only while its text is the same on every machine.
    text = repr([[list(table.columns[name]) for name in ("sentence1", "sentence2", "label")] for table in generate().values()])
    assert hashlib.sha256(text.encode()).hexdigest() == "1b238165ffd6a82d3df0cb2a53bf69e11be8da3eb10a500205e582407731922b"


def test_sentences_are_sentences(demo: TaskData) -> None:
    for text in (*demo.train.inputs[0], *demo.train.inputs[1]):
        assert text[0].isupper() or text[0].isdigit()
        assert text.endswith(".")
        assert "{" not in text
        assert "  " not in text
        assert 3 <= len(text.split()) <= 12


@pytest.mark.parametrize("rewrite", [rewrite for rewrite, _ in REWRITES], ids=lambda rewrite: rewrite.__name__)
def test_a_rewrite_shares_as_many_words_either_way(rewrite) -> None:  # type: ignore[no-untyped-def]
    def shared(same: bool) -> float:
        dice, overlaps = Dice(1), []
        while len(overlaps) < 500:
            first, second = (set(sentence.replace(",", "").split()) for sentence in rewrite(dice, same))
            if first != second or not same:
                overlaps.append(len(first & second) / len(first | second))
        return float(np.mean(overlaps))

    assert shared(True) == pytest.approx(shared(False), abs=0.25)


def _compared(sentence: str) -> tuple[str, ...]:
    """Read "x is taller than y" and "y is shorter than x" as the same fact."""
    left, comparative, right = re.fullmatch(r"(.+) is (\w+) than (.+)", sentence).groups()  # type: ignore[union-attr]
    opposites = {down: up for up, down in COMPARATIVES}
    return (right, opposites[comparative], left) if comparative in opposites else (left, comparative, right)


def _happened(sentence: str) -> tuple[str, ...]:
    """Name person, deed and thing of a story by the first of their wordings."""
    _, person, deed, _, thing = sentence.split()
    return tuple(
        next(wordings[0] for wordings in table if word in wordings)
        for word, table in ((person, SOMEONE), (deed, DEEDS), (thing, SOMETHING))
    )


@pytest.mark.parametrize(("rewrite", "meaning"), [(comparison, _compared), (story, _happened), (detail, _happened)])
def test_labels_follow_from_what_the_sentences_mean(
    rewrite: Callable[[Dice, bool], tuple[str, str]], meaning: Callable[[str], tuple[str, ...]]
) -> None:
    dice = Dice(2)
    for number in range(400):
        first, second = rewrite(dice, number % 2 == 1)
        assert (meaning(first) == meaning(second)) == (number % 2 == 1), (first, second)


def test_bags_of_words_and_overlap_do_not_give_the_label_away(demo: TaskData) -> None:
    from sklearn.linear_model import LogisticRegression

    vocabulary = {
        word: index for index, word in enumerate(sorted({word for text in demo.train.inputs for t in text for word in _words(t)}))
    }

    def features(split) -> np.ndarray:  # type: ignore[no-untyped-def]
        bags = np.zeros((2, len(split), len(vocabulary)))
        for side, texts in enumerate(split.inputs):
            for row, text in enumerate(texts):
                for word, n in Counter(_words(text)).items():
                    if word in vocabulary:
                        bags[side, row, vocabulary[word]] = n
        first, second = bags
        both, either = np.minimum(first, second).sum(axis=1), np.maximum(first, second).sum(axis=1)
        return np.hstack([first, second, np.abs(first - second), np.stack([both, either, both / either], axis=1)])

    train, validation = features(demo.train), features(demo.validation)
    for strength in (0.01, 0.1, 1.0):
        model = LogisticRegression(C=strength, max_iter=1000).fit(train, demo.train.targets)
        assert model.score(validation, demo.validation.targets) < 0.65


def _words(text: str) -> list[str]:
    return text.lower().replace(",", "").rstrip(".").split()


def test_a_search_of_the_demo_holds_no_test_data() -> None:
    assert load("demo").test is None
