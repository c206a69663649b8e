"""Loading a backbone with a task head, and its tokenizer or feature extractor."""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, PreTrainedConfig
from transformers.utils import logging as transformers_logging

from autopeft.errors import AutopeftError, UnavailableError
from autopeft.methods.head import head_parameter_names
from autopeft.methods.positions import n_positions
from autopeft.tasks import Encoded, Family
from autopeft.training.backbone import BackboneSource
from autopeft.training.initialisation import reset_parameters
from autopeft.training.precision import hold_in_float32, weights_dtype
from autopeft.training.quantisation import loading_arguments, pooler_parameters, settled

EXAMPLE_LENGTH, EXAMPLE_ROWS = 64, 2
"""Size of the batch that a model is looked at with."""

_FEWEST_WORDS = 2
"""Tokens beside the special ones that a tokenizer has at least; where its files are missing, T5's has one, for the beginning of a word."""


@dataclass(frozen=True)
class LoadedModel:
    """A backbone under a task head."""

    model: nn.Module
    processor: Any
    """A transformers tokenizer or feature extractor."""
    fresh: tuple[str, ...]
    """Names of the parameters that every trial draws anew and trains: those that the checkpoint did not have, and the pooler.

    On most families the dense layer between the last block and the classifier is part of the fresh head. BERT's pooler is the same
    layer, pretrained to tell whether two sentences follow each other; frozen, it hides from the classifier most of what the modules
    learn (benchmarks/RESULTS.md).
    """


def load_model(source: BackboneSource, family: Family, device: torch.device | str = "cpu", *, keeps_dtype: bool = False) -> LoadedModel:
    """Load the backbone under the head that a task needs, with the numbers that its weights have in the source's precision.

    Args:
        source: What to load; its linears are quantised where it says so.
        family: What the head is for.
        device: Where to.
        keeps_dtype: Whether to hold matrices in that precision, for a model that is run within `autopeft.training.precision.products`;
            else the same numbers are held in float32.

    Raises:
        UnavailableError: The folder's files can't be read as a model, or what quantises is not installed.
        InvalidInputError: The checkpoint is quantised already, and another quantisation is asked for.
    """
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    previous = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # it warns of every fresh head, which is the point here
    config = None
    try:
        # Never None, which would ask a question on the terminal.
        shared = {"local_files_only": True, "trust_remote_code": source.trust_remote_code}
        config = AutoConfig.from_pretrained(source.path, **shared)
        family.configure(config)
        auto_class = getattr(transformers, family.auto_model)
        model, report = auto_class.from_pretrained(
            source.path,
            config=config,
            dtype=weights_dtype(source.dtype, device),
            **({} if source.attention == "auto" else {"attn_implementation": source.attention}),
            output_loading_info=True,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # a head for other labels; anything else is refused below
            **loading_arguments(source, auto_class, config, torch.device(device)),
            **shared,
        )
        ends = _reads_at_the_end_token(config, family)
        # There an end token in the middle of a text would be taken for its end, so that what looks like one is read as other text is.
        reading = {"split_special_tokens": True} if ends else {}
        processor = _processor(source, family, **reading)
    except AutopeftError:
        raise
    except Exception as error:  # several libraries read the files, and code that the model brings along may raise anything
        if isinstance(config, PreTrainedConfig) and "Unrecognized configuration class" in str(error):
            raise UnavailableError(
                f"transformers has no {family.auto_model} of the type {config.model_type}, which {family.name} needs",
                value=source.path,
                remedy=f"Take another model, or another --kind{' such as ' + family.for_other_models if family.for_other_models else ''}.",
            ) from error
        raise UnavailableError(f"the model can't be loaded: {_reason(error)}", value=source.path) from error
    finally:
        transformers_logging.set_verbosity(previous)
    mismatched = {name for name, *_ in report["mismatched_keys"]}
    if damaged := mismatched - set(head_parameter_names(model)):
        raise UnavailableError(
            f"the model can't be loaded: {len(damaged)} of its tensors have other shapes than config.json says, {min(damaged)} among them",
            value=source.path,
        )
    _require_words(processor, source)
    if ends and config.eos_token_id not in processor("")["input_ids"]:
        raise UnavailableError(
            f"the model's head reads at the end token, number {config.eos_token_id}, which its tokenizer doesn't put behind a text",
            value=source.path,
            remedy="Save a tokenizer with the model that does.",
        )
    if hasattr(processor, "pad_token_id"):
        if processor.pad_token_id is None:
            processor.pad_token_id = _stand_in_for_padding(processor, model.config, source)
        model.config.pad_token_id = processor.pad_token_id
        if family.has_fresh_head:
            # A head that reads the last position, as XLNet's, must find the text's end there; the others work out where a text ends.
            processor.padding_side = "left" if getattr(model.config, "summary_type", None) == "last" else "right"
    fresh = set(report["missing_keys"]) & {name for name, _ in model.named_parameters()}
    stacks = tuple(f"{name}." for name, module in model.named_modules() if isinstance(module, nn.ModuleList))
    if lacking := {name for name in fresh - set(head_parameter_names(model)) if name.startswith(stacks)}:
        raise UnavailableError(
            f"the model can't be loaded: its weights lack {len(lacking)} tensors of its layers, {min(lacking)} among them",
            value=source.path,
            remedy=_remedy(model, lacking, report["unexpected_keys"]),
        )
    hold_in_float32(model, vectors_only=keeps_dtype)
    model = settled(model, source, fresh, torch.device(device))
    return LoadedModel(model, processor, tuple(sorted(fresh | (pooler_parameters(model) if family.has_fresh_head else set()))))


def load_processor(source: BackboneSource, family: Family) -> Any:
    """Load a backbone's tokenizer or feature extractor alone, which takes no time.

    Raises:
        UnavailableError: Its files can't be read, or it knows no words.
    """
    try:
        processor = _processor(source, family)
    except Exception as error:  # several libraries read the files, and code that the model brings along may raise anything
        raise UnavailableError(f"the model's {family.processor} can't be loaded: {_reason(error)}", value=source.path) from error
    _require_words(processor, source)
    return processor


def _processor(source: BackboneSource, family: Family, **reading: Any) -> Any:
    loader = getattr(transformers, family.processor)
    shared = {"local_files_only": True, "trust_remote_code": source.trust_remote_code}
    return loader.from_pretrained(source.path, **shared, **family.processor_arguments, **reading)


def _remedy(model: nn.Module, lacking: Set[str], unexpected: Iterable[str]) -> str:
    """Return what to do about layers that the weights lack.

    Some classes, as those of Llama and Qwen2 for questions, call their backbone otherwise than the language model does whose weights they
    are given, and transformers then draws all of it anew.
    """
    prefix = getattr(model, "base_model_prefix", "")
    if any(f"{prefix}.{name.partition('.')[2]}" in lacking for name in unexpected):
        saving = "AutoModel.from_pretrained(FOLDER).save_pretrained(OTHER), and the tokenizer"
        return f"This kind of task has other names for them; save the backbone alone, which fits: {saving}."
    return "Are its files complete, and is config.json theirs?"


def _require_words(processor: Any, source: BackboneSource) -> None:
    """Refuse a tokenizer that knows nothing but special tokens, as transformers makes one where its files are missing.

    Raises:
        UnavailableError: All texts would read as unknown tokens.
    """
    tokenizer = getattr(processor, "tokenizer", processor)
    if hasattr(tokenizer, "all_special_ids") and len(tokenizer) - len(tokenizer.all_special_ids) < _FEWEST_WORDS:
        raise UnavailableError(
            "the model's tokenizer knows no words: its files are missing or empty",
            value=source.path,
            remedy="Save it with the model: tokenizer.save_pretrained(FOLDER).",
        )


def _reads_at_the_end_token(config: PreTrainedConfig, family: Family) -> bool:
    """Return whether a head reads at the last end token of a text, as those of encoder-decoders do; all rows must have as many."""
    return config.is_encoder_decoder and family.auto_model == "AutoModelForSequenceClassification"


def _reason(error: Exception) -> str:
    """Return an error's first line; with its type where the text alone says little, as of a KeyError."""
    text = next(iter(str(error).strip().splitlines()), "")
    if text.startswith("Couldn't instantiate the backend tokenizer"):  # a list of four ways to get one follows
        return "its folder lacks tokenizer.json, or the files that its type of tokenizer is read from"
    if text and isinstance(error, OSError | ValueError | RuntimeError | ImportError | SafetensorError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _stand_in_for_padding(tokenizer: Any, config: Any, source: BackboneSource) -> int:
    """Return the id that pads where the tokenizer names none: the model's own, or else a token that doesn't end a text in the middle.

    Raises:
        UnavailableError: There is none.
    """
    of_model = [getattr(config, name, None) for name in ("pad_token_id", "eos_token_id")]  # some configurations have no such field
    for candidate in (of_model[0], tokenizer.eos_token_id, of_model[1], tokenizer.unk_token_id):
        token = candidate[0] if isinstance(candidate, list) and candidate else candidate  # some models end a text in several ways
        if isinstance(token, int):
            return token
    raise UnavailableError(
        "the tokenizer must have a padding, an end or an unknown token, to fill batches up with",
        value=source.path,
        remedy="Set one, such as tokenizer.pad_token = '<pad>', and save the tokenizer into the model's folder again.",
    )


def attention_of(model: nn.Module) -> str:
    """Return which of transformers' attention functions a model calls; empty if it has no such choice."""
    return getattr(model.config, "_attn_implementation", None) or ""


def example_inputs(loaded: LoadedModel, family: Family) -> dict[str, torch.Tensor]:
    """Return a tiny batch as arguments of the model's forward pass: it shows what the model is made of."""
    longest = min(EXAMPLE_LENGTH, n_positions(loaded.model) or EXAMPLE_LENGTH)
    few = family.encode(loaded.processor, family.example_for(loaded.model.config), longest)
    batch = few.batch(range(min(len(few), EXAMPLE_ROWS)))
    return batch.to(next(loaded.model.parameters()).device).inputs


def start_head(model: nn.Module, names: Sequence[str], seed: int, training: Encoded) -> None:
    """Draw a task head anew, from a seed.

    Args:
        model: The model.
        names: Names of the head's parameters.
        seed: Seeds the draw.
        training: The training examples; some heads start at their mean.
    """
    reset_parameters(model, names, seed)
    training.family.start_head(model, names, training)
