"""How long examples are, and texts no longer than the backbone can read them."""

from dataclasses import replace

from autopeft.budget import Budget
from autopeft.errors import AutopeftError, InvalidInputError
from autopeft.request import SearchRequest
from autopeft.tasks import TaskData, family_of
from autopeft.tasks.lengths import lengths_in_words
from autopeft.training.backbone import find_backbone
from autopeft.training.batches import draw
from autopeft.training.measurement import BackboneFacts


def lengths_at_hand(request: SearchRequest, data: TaskData, budget: Budget) -> list[str]:
    """Return what is to be said of the lengths of the examples of a trial where nothing is trained, and so no model loaded.

    Where the request names no model, the default one's tokenizer counts, or none: it may not be on this machine.

    Raises:
        AutopeftError: The request's model can't be had, or can't read the examples.
    """
    family = family_of(data.task)
    if not family.length_unit[0]:
        return []
    try:
        processor = None
        if family.needs_processor:
            from autopeft.training.model import load_processor

            backbone = find_backbone(request.model, offline=request.offline or request.model is None)
            processor = load_processor(backbone, family)
        splits = {
            "training": family.encode(processor, draw(data.train, budget.train_examples), budget.max_length, training=True),
            "validation": family.encode(processor, draw(data.validation, budget.evaluation_examples), budget.max_length),
        }
    except AutopeftError as error:
        if request.model is not None:
            raise
        return [f"lengths are not known without the model's tokenizer, which --model names ({error.rule})"]
    found = {role: split.whole.tolist() for role, split in splits.items() if split.whole is not None}
    return lengths_in_words(found, family, budget.max_length)


def fit_length(budget: Budget, data: TaskData, facts: BackboneFacts, n_taken: int) -> tuple[Budget, TaskData]:
    """Return the budget with texts cut where the backbone's positions end, and the data with a note if they are cut there.

    Args:
        budget: What was asked for.
        data: What it is spent on.
        facts: The backbone.
        n_taken: Positions that modules put in front, at most.

    Raises:
        InvalidInputError: There is no room for a text.
    """
    if facts.n_positions is None or budget.max_length + n_taken <= facts.n_positions:
        return budget, data
    longest = facts.n_positions - n_taken
    read = f"the model reads {facts.n_positions:,} positions" + (f", of which a prompt takes up to {n_taken:,}" if n_taken else "")
    if longest < 1:
        raise InvalidInputError(f"there is no room for a text: {read}", remedy="Take a space with shorter prompts, or another model.")
    note = f"texts are cut after {longest:,} tokens and not {budget.max_length:,}: {read}"
    return replace(budget, max_length=longest), replace(data, notes=(*data.notes, note))
