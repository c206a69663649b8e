"""What the demo grammar knows about saying the same again.

Each function makes a sentence and a second one that means the same or something else, as asked. Both answers are worded with the
same freedom, so that which words the two sentences share says next to nothing about the answer.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

from autopeft.tasks.demo import vocabulary as words

Item = TypeVar("Item")
Pair = tuple[str, str]


class Dice:
    """Draws by `Random.random` alone: of the generator's methods only its stream is promised not to change."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def pick(self, items: Sequence[Item]) -> Item:
        """Return one item."""
        return items[int(self._random.random() * len(items))]

    def two(self, items: Sequence[Item]) -> tuple[Item, Item]:
        """Return two items of different places, in any order."""
        first, second = self.shuffled(range(len(items)))[:2]
        return items[first], items[second]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """Return the items in random order."""
        return [item for _, item in sorted(((self._random.random(), place), item) for place, item in enumerate(items))]

    def people(self) -> tuple[str, str]:
        """Return two persons with their articles."""
        first, second = self.two(words.PEOPLE)
        return f"the {first}", f"the {second}"


def voice(dice: Dice, same: bool) -> Pair:
    """Active and passive: "the baker thanked the pilot", "the pilot was thanked by the baker"."""
    (doer, other), verbs = dice.people(), dice.pick(words.ACTIONS)
    second = (doer, other) if same else (other, doer)
    return _active_or_passive(dice, doer, other, verbs), _active_or_passive(dice, *second, verbs)


def _active_or_passive(dice: Dice, doer: str, other: str, verbs: Sequence[str]) -> str:
    return dice.pick((f"{doer} {dice.pick(verbs)} {other}", f"{other} was {dice.pick(verbs)} by {doer}"))


def quality(dice: Dice, same: bool) -> Pair:
    """Synonyms and antonyms: "the large boat", "the big boat"."""
    verb = dice.pick(("has", "wants", "owns", "found"))
    template = f"the {dice.pick(words.PEOPLE)} {verb} the {{}} {dice.pick(words.THINGS)}"
    return _replaced(dice, same, template, dice.two(dice.pick(words.QUALITIES)))


def story(dice: Dice, same: bool) -> Pair:
    """Who did what to what: "the doctor sold the car", "the physician marketed the automobile". If not the same, all three differ."""
    slots = _slots(dice)
    first = [dice.shuffled(wordings) for wordings, _ in slots]
    second = [wordings[1] if same else dice.pick(others) for wordings, (_, others) in zip(first, slots, strict=True)]
    return _sentences([wordings[0] for wordings in first], second)


def detail(dice: Dice, same: bool) -> Pair:
    """A story of which one word stays: "the doctor sold the car", "the physician sold the automobile". One or two others may differ."""
    slots = _slots(dice)
    said = [dice.shuffled(wordings) for wordings, _ in slots]
    second = [wordings[0] for wordings in said]
    changed = dice.shuffled(range(3))[:2]
    for slot in changed:
        second[slot] = said[slot][1]
    if not same:
        for slot in dice.pick((changed, changed, changed[:1])):
            second[slot] = dice.pick(slots[slot][1])
    return _sentences([wordings[0] for wordings in said], second)


def _slots(dice: Dice) -> list[tuple[Sequence[str], Sequence[str]]]:
    """Return two groups of wordings, which say different things, of a person, a deed and a thing."""
    return [dice.two(table) for table in (words.SOMEONE, words.DEEDS, words.SOMETHING)]


def _sentences(*stories: Sequence[str]) -> Pair:
    first, second = ("the {} {} the {}".format(*one) for one in stories)
    return first, second


def negation(dice: Dice, same: bool) -> Pair:
    """Denied opposites: "the baker passed the exam", "the baker did not fail the exam"."""
    (done, undone), other = dice.two(dice.pick(words.OPPOSITES))
    person = dice.pick(words.PEOPLE)
    first, second = dice.shuffled((f"the {person} {done}", f"the {person} did not {other[1] if same else undone}"))
    return first, second


def time(dice: Dice, same: bool) -> Pair:
    """Times, moved and reworded: "at noon, the baker sang", "the baker sang at midday"."""
    return _moved(dice, same, dice.two(words.TIMES))


def place(dice: Dice, same: bool) -> Pair:
    """Places, moved and reworded: "in the woods, the baker sang", "the baker sang in the forest"."""
    return _moved(dice, same, dice.two(words.PLACES))


def _moved(dice: Dice, same: bool, groups: tuple[Sequence[str], Sequence[str]]) -> Pair:
    deed = f"the {dice.pick(words.PEOPLE)} {dice.pick(('sang', 'slept', 'worked', 'waited', 'danced', 'ate'))}"
    first, second = _replaced(dice, same, "{}", groups)
    forms = "{0}, {1}", "{1} {0}"
    return dice.pick(forms).format(first, deed), dice.pick(forms).format(second, deed)


def _replaced(dice: Dice, same: bool, template: str, groups: tuple[Sequence[str], Sequence[str]]) -> Pair:
    """Fill in two wordings of one group, or one of each group."""
    first, second = dice.two(groups[0]) if same else (dice.pick(groups[0]), dice.pick(groups[1]))
    return template.format(first), template.format(second)


def comparison(dice: Dice, same: bool) -> Pair:
    """Inverted comparatives: "the baker is taller than the pilot", "the pilot is shorter than the baker"."""
    (more, less), (up, down) = dice.people(), dice.pick(words.COMPARATIVES)
    second = (more, less) if same else (less, more)
    return _rank(dice, more, less, up, down), _rank(dice, *second, up, down)


def _rank(dice: Dice, more: str, less: str, up: str, down: str) -> str:
    return dice.pick((f"{more} is {up} than {less}", f"{less} is {down} than {more}"))


REWRITES: tuple[tuple[Callable[[Dice, bool], Pair], int], ...] = (
    (story, 12),
    (quality, 4),
    (detail, 2),
    (time, 2),
    (place, 2),
    (negation, 1),
    (voice, 1),
    (comparison, 1),
)
"""Every rewrite and its share of the pairs.

The first five ask what words mean and fall one after the other to better configurations; the rest ask for the order of words too, and are
there so that the top is not reached. Half are stories because these are learnt first and from few examples: with equal shares, no
configuration learns anything at the budget of a trial.
"""
