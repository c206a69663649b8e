"""Prompt tuning: learned token embeddings in front of the input (Lester et al., 2021, arXiv 2104.08691).

The model keeps getting token ids: P filler ids are put in front, and the embedding's output is replaced there. In a row padded on the
left they stand between padding and tokens, where a sliding window sees them as it does without padding. So whatever a model works
out from its ids stays right: positions, and the last token that is no padding, which decoders classify by. Outputs with a row for each
token lose the P positions again, so that labels and logits keep the caller's length. Spans of question answering move with the tokens.

Symbols: P prompt length, T the caller's number of tokens.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from autopeft.configuration import PeftModule
from autopeft.errors import UnsupportedError
from autopeft.methods.hook import ParameterGroup, TrainingHook
from autopeft.methods.positions import filler
from autopeft.methods.topology import Topology

_IGNORED_LABEL = -100
_OUTPUTS_BY_TOKEN = {"logits": 3, "last_hidden_state": 3, "start_logits": 2, "end_logits": 2}
"""Outputs whose second axis is the tokens if they have so many axes: of taggers and language models, backbones, question answering."""
_INPUTS_BY_TOKEN = ("input_ids", "attention_mask", "input_mask", "token_type_ids", "position_ids")
"""Arguments whose last axis is the tokens."""
_POSITIONS_OF_SPANS = ("start_positions", "end_positions")
"""Arguments that point at tokens; an encoder-decoder's encoder doesn't get them, and its decoder has no prompt."""
_CACHE_ARGUMENTS = ("cache", "past_key_values", "cache_params", "mems")
"""What models call what they keep of earlier positions: keys and values, or recurrent states, until transformers 5.23 and since."""


class Prompt(nn.Module):
    """The prompt of one model. Lives in the model as `autopeft_prompt`.

    Args:
        vectors: P x width, the initial prompt.
        filler: An id without a meaning of its own to the model.
    """

    def __init__(self, vectors: Tensor, filler: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(vectors.float().clone())
        self._filler = filler
        self._is_pending = False  # until the caller's tokens are embedded; a decoder may embed others by the same module
        self._is_due = False
        self._n_tokens = 0
        self._starts = torch.zeros(0)
        self._is_folded = False
        self._wants_tuple = False
        self._ids = torch.zeros(0)

    @property
    def length(self) -> int:
        """P."""
        return self.vectors.shape[0]

    def made(self) -> Tensor:
        """Return the prompt as the model reads it, P x width."""
        return self.vectors

    def before_reader(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Pre-hook of the module that reads the token ids: put fillers in front, unless a cache holds the prompt already."""
        kwargs = _named(module, args, kwargs)
        ids = kwargs.get("input_ids")
        if ids is None:
            raise UnsupportedError("prompt tuning needs input_ids", value=sorted(kwargs))
        leading = ids.shape[:-1]
        self._is_folded = len(leading) > 1
        if self._is_folded:
            _reshape(kwargs, lambda tensor: tensor.flatten(0, len(leading) - 1) if tensor.shape[:-1] == leading else tensor)
        self._extend(kwargs)
        if self._is_folded:
            _reshape(kwargs, lambda tensor: tensor.view(*leading, *tensor.shape[1:]) if len(tensor) == leading.numel() else tensor)
        return (), kwargs

    def _extend(self, kwargs: dict[str, Any]) -> None:
        ids = kwargs["input_ids"]
        self._is_due = not any(_is_filled(kwargs.get(name)) for name in _CACHE_ARGUMENTS)
        self._n_tokens = ids.shape[1]
        mask = self._extend_mask(kwargs, self._n_tokens)
        if self._is_due:
            self._starts = ids.new_zeros(len(ids)) if mask is None else _first_tokens(mask)
            self._extend_tokens(kwargs, ids)
        elif kwargs.get("position_ids") is not None:
            kwargs["position_ids"] = kwargs["position_ids"] + self.length
        self._is_pending, self._ids = True, kwargs["input_ids"]

    def before_model(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Pre-hook of a model whose outputs lose the prompt's positions: their names say which those are."""
        args, kwargs = self.before_reader(module, args, kwargs)
        asked = kwargs.get("return_dict")
        self._wants_tuple = not (getattr(module.config, "return_dict", True) if asked is None else asked)
        if self._wants_tuple:
            kwargs["return_dict"] = True
        return args, kwargs

    def before_decoder(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Pre-hook of an encoder-decoder: its decoder attends to the prompt's positions too."""
        kwargs = _named(module, args, kwargs)
        self._extend_mask(kwargs)
        return (), kwargs

    def after_embedding(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        """Hook of the token embedding: the first P positions are the prompt."""
        if not self._is_pending:
            return output
        self._is_pending = False
        if _is_transposed(args[0], self._ids):  # XLNet's positions come first
            return self.edit(output.transpose(0, 1)).transpose(0, 1)
        return self.edit(output)

    def edit(self, embedded: Tensor) -> Tensor:
        """Return batch x positions x width as the model goes on with it."""
        return self._with_prompt(embedded) if self._is_due else embedded

    def _with_prompt(self, embedded: Tensor) -> Tensor:
        offsets = torch.arange(embedded.shape[1], device=embedded.device) - self._starts.to(embedded.device)[:, None]
        is_prompt = (offsets >= 0) & (offsets < self.length)
        prompt = self.made().to(embedded.dtype)[offsets.clamp(0, self.length - 1)]
        return torch.where(is_prompt[..., None], prompt, embedded)

    def after_model(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Hook of the model: take the prompt's positions off outputs that have one entry a token."""
        for name, n_axes in _OUTPUTS_BY_TOKEN.items() if not self._is_folded else ():
            rows = output.get(name) if hasattr(output, "get") else None
            if rows is not None and rows.dim() == n_axes and rows.shape[1] == self._n_tokens + self.length:
                output[name] = self._without_prompt(rows)
        return output.to_tuple() if self._wants_tuple else output

    def _without_prompt(self, rows: Tensor) -> Tensor:
        tokens = torch.arange(self._n_tokens, device=rows.device)
        kept = tokens + self.length * (tokens >= self._starts.to(rows.device)[:, None])
        return rows[torch.arange(len(rows), device=rows.device)[:, None], kept]

    def _extend_mask(self, kwargs: dict[str, Any], n_tokens: int | None = None) -> Tensor | None:
        """Let the prompt be attended to, and return the mask as the caller gave it."""
        mask = cast(Tensor | None, kwargs.get("attention_mask"))
        if kwargs.get("input_mask") is not None:  # XLNet's, which says where padding is
            mask = 1 - kwargs.pop("input_mask")
        if mask is None:
            return None
        if mask.dim() != 2:
            raise UnsupportedError("prompt tuning needs an attention mask of batch x positions", value=tuple(mask.shape))
        if n_tokens is None or not self._is_due or mask.shape[1] == n_tokens:
            kwargs["attention_mask"] = _inserted(mask, mask.new_ones(self.length), _first_tokens(mask))
        return mask

    def _extend_tokens(self, kwargs: dict[str, Any], ids: Tensor) -> None:
        kwargs["input_ids"] = _inserted(ids, ids.new_full((self.length,), self._filler), self._starts)
        if kwargs.get("token_type_ids") is not None:
            kwargs["token_type_ids"] = _inserted(kwargs["token_type_ids"], ids.new_zeros(self.length), self._starts)
        if kwargs.get("position_ids") is not None:
            positions = (kwargs["position_ids"] + self.length).expand(len(ids), -1)
            kwargs["position_ids"] = _inserted(positions, torch.arange(self.length, device=ids.device), self._starts)
        for name, axes in (("perm_mask", (1, 2)), ("target_mapping", (2,))):  # XLNet's: which token sees which, and which are predicted
            for axis in axes if kwargs.get(name) is not None else ():
                kwargs[name] = _inserted(kwargs[name], ids.new_zeros(self.length), self._starts, axis)
        labels = kwargs.get("labels")
        if labels is not None and labels.shape == ids.shape and not labels.is_floating_point():
            kwargs["labels"] = _inserted(labels, labels.new_full((self.length,), _IGNORED_LABEL), self._starts)
        for name in _POSITIONS_OF_SPANS:
            if kwargs.get(name) is not None:  # models take what is negative for the first token, and ignore what is beyond the last
                kwargs[name] = kwargs[name].clamp(min=0) + self.length


class PromptRate(TrainingHook):
    """Trains a prompt's vectors at a multiple of the learning rate that everything else has.

    Args:
        prompt: The prompt.
        rate: The multiple.
    """

    def __init__(self, prompt: Prompt, rate: float) -> None:
        self._prompt, self._rate = prompt, rate

    def parameter_groups(self, trainable: Mapping[str, nn.Parameter]) -> Iterable[ParameterGroup]:
        """Return the group of the vectors."""
        yield ParameterGroup([self._prompt.vectors], learning_rate_factor=self._rate)


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> PromptRate | None:
    """Put a prompt in front of the model's tokens; it starts as the embeddings of random tokens."""
    prompt = Prompt(random_tokens(model, module.size), filler(model))
    place(model, prompt)
    rate = float(module.options["prompt_rate"])
    return None if rate == 1.0 else PromptRate(prompt, rate)


def random_tokens(model: nn.Module, n_tokens: int) -> Tensor:
    """Return the embeddings of random tokens, n_tokens x width."""
    embedding: Any = _reader(model).get_input_embeddings()
    tokens = torch.randint(embedding.weight.shape[0], (n_tokens,)).to(embedding.weight.device)
    with torch.no_grad():
        found: Tensor = embedding(tokens)
    return found


def place(model: nn.Module, prompt: Prompt) -> None:
    """Put a prompt into the model, with its hooks.

    Raises:
        UnsupportedError: It has one.
    """
    if hasattr(model, "autopeft_prompt"):
        raise UnsupportedError("a model takes one prompt", remedy="Leave out one of the modules that put something in front of the tokens.")
    model.autopeft_prompt = prompt
    reader = _reader(model)
    reader.get_input_embeddings().register_forward_hook(prompt.after_embedding)
    if reader is model:
        model.register_forward_pre_hook(prompt.before_model, with_kwargs=True)
        model.register_forward_hook(prompt.after_model)
    else:
        reader.register_forward_pre_hook(prompt.before_reader, with_kwargs=True)
        model.register_forward_pre_hook(prompt.before_decoder, with_kwargs=True)


def _reader(model: nn.Module) -> Any:
    """Return the module that reads token ids: an encoder-decoder's encoder, or the model."""
    return cast(Any, model).get_encoder() if getattr(model.config, "is_encoder_decoder", False) else model


def _named(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return all arguments by name."""
    return {**dict(zip(inspect.signature(module.forward).parameters, args, strict=False)), **kwargs}


def _first_tokens(mask: Tensor) -> Tensor:
    """Return the index of each row's first token; what is before it is padding."""
    return (mask != 0).int().argmax(dim=1)


def _is_filled(cache: Any) -> bool:
    """Whether a cache holds earlier positions: keys and values, recurrent states, or XLNet's memories."""
    if cache is None:
        return False
    if isinstance(cache, list | tuple):
        return bool(cache) and cache[0] is not None and len(cache[0]) > 0
    try:
        return bool(cache.get_seq_length() > 0)
    except ValueError:  # none of its layers keeps keys and values
        return bool(cache.has_previous_state())


def _is_transposed(ids: Tensor, extended: Tensor) -> bool:
    """Whether an embedding was asked for the positions of all rows, one position after the other."""
    if ids.shape != extended.T.shape:
        return False
    return ids.shape != extended.shape or (torch.equal(ids, extended.T) and not torch.equal(ids, extended))


def _reshape(kwargs: dict[str, Any], reshaped: Callable[[Tensor], Tensor]) -> None:
    for name in _INPUTS_BY_TOKEN:
        if kwargs.get(name) is not None:
            kwargs[name] = reshaped(kwargs[name])


def _inserted(rows: Tensor, added: Tensor, starts: Tensor, axis: int = 1) -> Tensor:
    """Return batch x ... x positions x ... with the same P entries put into each row where it starts."""
    n_added, n_tokens = len(added), rows.shape[axis]
    places = torch.arange(n_tokens + n_added, device=rows.device)
    starts = starts.to(rows.device)[:, None]
    source = torch.where(places < starts, places, torch.where(places < starts + n_added, n_tokens + places - starts, places - n_added))
    along = [1] * rows.dim()
    along[axis] = -1
    more = added.to(rows.dtype).view(along).expand(*rows.shape[:axis], n_added, *rows.shape[axis + 1 :])
    along[0] = len(rows)
    return torch.take_along_dim(torch.cat([rows, more], dim=axis), source.view(along), dim=axis)
