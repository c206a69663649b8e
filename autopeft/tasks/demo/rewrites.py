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
    told = (doer, other) if same else (other, doer)
    return _active_or_passive(dice, doer, other, verbs), _active_or_passive(dice, *told, verbs)


def _active_or_passive(dice: Dice, doer: str, other: str, verbs: Sequence[str]) -> str:
    return dice.pick((f"{doer} {dice.pick(verbs)} {other}", f"{other} was {dice.pick(verbs)} by {doer}"))


def exchange(dice: Dice, same: bool) -> Pair:
    """Converse verbs: "the baker sold a boat to the pilot", "the pilot bought a boat from the baker"."""
    (giver, taker), verbs, thing = dice.people(), dice.pick(words.CONVERSES), f"a {dice.pick(words.THINGS)}"
    told = (giver, taker) if same else (taker, giver)
    return _handover(dice, giver, taker, verbs, thing), _handover(dice, *told, verbs, thing)


def _handover(dice: Dice, giver: str, taker: str, verbs: tuple[str, str], thing: str) -> str:
    gives, takes = (verb.format(thing=thing) for verb in verbs)
    return dice.pick((f"{giver} {gives} {taker}", f"{taker} {takes} {giver}"))


def dative(dice: Dice, same: bool) -> Pair:
    """Dative alternation: "the baker gave the pilot a boat", "the baker gave a boat to the pilot"."""
    (giver, taker), verb, thing = dice.people(), dice.pick(words.TRANSFERS), f"a {dice.pick(words.THINGS)}"
    forms = dice.shuffled(("{0} {verb} {1} {thing}", "{0} {verb} {thing} to {1}"))
    told = (giver, taker) if same else (taker, giver)
    return forms[0].format(giver, taker, verb=verb, thing=thing), forms[1].format(*told, verb=verb, thing=thing)


def quality(dice: Dice, same: bool) -> Pair:
    """Synonyms and antonyms: "the large boat", "the big boat"."""
    verb = dice.pick(("has", "wants", "owns", "found"))
    template = f"the {dice.pick(words.PEOPLE)} {verb} the {{}} {dice.pick(words.THINGS)}"
    return _replaced(dice, same, template, dice.two(dice.pick(words.QUALITIES)))


def story(dice: Dice, same: bool) -> Pair:
    """Who did what to what: "the doctor sold the car", "the physician sold the automobile". Two of the three words change."""
    slots = [dice.two(table) for table in (words.SOMEONE, words.DEEDS, words.SOMETHING)]
    said = [dice.shuffled(wordings) for wordings, _ in slots]
    second = [wordings[0] for wordings in said]
    changed = dice.shuffled(range(3))[:2]
    for slot in changed:
        second[slot] = said[slot][1]
    if not same:
        for slot in dice.pick((changed, changed, changed[:1])):
            second[slot] = dice.pick(slots[slot][1])
    template = "the {} {} the {}"
    return template.format(*(wordings[0] for wordings in said)), template.format(*second)


def negation(dice: Dice, same: bool) -> Pair:
    """Denied opposites: "the baker passed the exam", "the baker did not fail the exam"."""
    (done, undone), other = dice.two(dice.pick(words.OPPOSITES))
    person = dice.pick(words.PEOPLE)
    told, denied = dice.shuffled((f"the {person} {done}", f"the {person} did not {other[1] if same else undone}"))
    return told, denied


def count(dice: Dice, same: bool) -> Pair:
    """Numbers in figures and words: "12 apples", "a dozen apples"."""
    template = f"the {dice.pick(words.PEOPLE)} bought {{}} {dice.pick(words.GOODS)}"
    return _replaced(dice, same, template, dice.two(words.COUNTS))


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
    told = (more, less) if same else (less, more)
    return _rank(dice, more, less, up, down), _rank(dice, *told, up, down)


def _rank(dice: Dice, more: str, less: str, up: str, down: str) -> str:
    return dice.pick((f"{more} is {up} than {less}", f"{less} is {down} than {more}"))


def sequence(dice: Dice, same: bool) -> Pair:
    """Clause order: "the bell rang before the dog barked", "after the bell rang, the dog barked"."""
    return _clauses(dice, same, ("{0} before {1}", "{1} after {0}", "after {0}, {1}", "before {1}, {0}"))


def cause(dice: Dice, same: bool) -> Pair:
    """Cause and effect: "the bell rang, so the dog barked", "the dog barked because the bell rang"."""
    return _clauses(dice, same, ("{0}, so {1}", "{1} because {0}", "because {0}, {1}"))


def _clauses(dice: Dice, same: bool, forms: Sequence[str]) -> Pair:
    first, second = dice.two(words.EVENTS)
    told = (first, second) if same else (second, first)
    return dice.pick(forms).format(first, second), dice.pick(forms).format(*told)


REWRITES: tuple[tuple[Callable[[Dice, bool], Pair], int], ...] = (
    (story, 12),
    (count, 4),
    (quality, 4),
    (time, 2),
    (place, 2),
    (negation, 1),
    (voice, 1),
    (exchange, 1),
    (dative, 1),
    (comparison, 1),
    (sequence, 1),
    (cause, 1),
)
"""Every rewrite and its share of the pairs.

The first five ask what words mean and fall one after the other to better configurations; the rest ask for the order of words too,
and are there so that the top is never reached. With equal shares, no configuration learns anything at the budget of a trial.
"""
