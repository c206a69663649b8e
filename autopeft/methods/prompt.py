"""Prompt tuning: learned token embeddings in front of the input (Lester et al., 2021, arXiv 2104.08691).

The model keeps getting token ids: P filler ids are put in front, and the embedding's output is replaced there. In a row padded on the
left they stand between padding and tokens, where a sliding window sees them as it does without padding. So whatever a model works
out from its ids stays right: positions, and the last token that is no padding, which decoders classify by. Outputs with a row for each
token lose the P positions again, so that labels and logits keep the caller's length. Spans of question answering move with the tokens.

Symbols: P prompt length, T the caller's number of tokens.
"""

import inspect
from typing import Any, cast

import torch
from torch import Tensor, nn

from autopeft.configuration import PeftModule
from autopeft.errors import UnsupportedError
from autopeft.methods.positions import filler
from autopeft.methods.topology import Topology

_IGNORED_LABEL = -100
_OUTPUTS_BY_TOKEN = ("logits", "last_hidden_state", "start_logits", "end_logits")
"""Outputs whose second axis may be the tokens: of taggers and language models, bare backbones, and question answering."""
_POSITIONS_OF_SPANS = ("start_positions", "end_positions")
"""Arguments that point at tokens; an encoder-decoder's encoder doesn't get them, and its decoder has no prompt."""
_CACHE_ARGUMENTS = ("cache", "past_key_values")
"""What models call the keys and values of earlier positions: `past_key_values` until transformers 5.23, `cache` since."""


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
        self._is_due = False
        self._n_tokens = 0
        self._starts = torch.zeros(0)

    @property
    def length(self) -> int:
        """P."""
        return self.vectors.shape[0]

    def before_reader(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Pre-hook of the module that reads the token ids: put fillers in front, unless a cache holds the prompt already."""
        kwargs = _named(module, args, kwargs)
        ids = kwargs.get("input_ids")
        if ids is None:
            raise UnsupportedError("prompt tuning needs input_ids", value=sorted(kwargs))
        earlier = next((kwargs[name] for name in _CACHE_ARGUMENTS if kwargs.get(name) is not None), None)
        self._is_due = earlier is None or earlier.get_seq_length() == 0
        self._n_tokens = ids.shape[1]
        mask = self._extend_mask(kwargs, self._n_tokens)
        if self._is_due:
            self._starts = ids.new_zeros(len(ids)) if mask is None else _first_tokens(mask)
            self._extend_tokens(kwargs, ids)
        elif kwargs.get("position_ids") is not None:
            kwargs["position_ids"] = kwargs["position_ids"] + self.length
        return (), kwargs

    def before_decoder(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Pre-hook of an encoder-decoder: its decoder attends to the prompt's positions too."""
        kwargs = _named(module, args, kwargs)
        self._extend_mask(kwargs)
        return (), kwargs

    def after_embedding(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        """Hook of the token embedding: the first P positions are the prompt."""
        if not self._is_due:
            return output
        self._is_due = False
        offsets = torch.arange(output.shape[1], device=output.device) - self._starts.to(output.device)[:, None]
        is_prompt = (offsets >= 0) & (offsets < self.length)
        prompt = self.vectors.to(output.dtype)[offsets.clamp(0, self.length - 1)]
        return torch.where(is_prompt[..., None], prompt, output)

    def after_model(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Hook of the model: take the prompt's positions off outputs that have one entry a token."""
        for name in _OUTPUTS_BY_TOKEN:
            rows = output.get(name) if hasattr(output, "get") else None
            if rows is not None and rows.dim() >= 2 and rows.shape[1] == self._n_tokens + self.length:
                output[name] = self._without_prompt(rows)
        return output

    def _without_prompt(self, rows: Tensor) -> Tensor:
        tokens = torch.arange(self._n_tokens, device=rows.device)
        kept = tokens + self.length * (tokens >= self._starts.to(rows.device)[:, None])
        return rows[torch.arange(len(rows), device=rows.device)[:, None], kept]

    def _extend_mask(self, kwargs: dict[str, Any], n_tokens: int | None = None) -> Tensor | None:
        """Let the prompt be attended to, and return the mask as the caller gave it."""
        mask = cast(Tensor | None, kwargs.get("attention_mask"))
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
        labels = kwargs.get("labels")
        if labels is not None and labels.shape == ids.shape and not labels.is_floating_point():
            kwargs["labels"] = _inserted(labels, labels.new_full((self.length,), _IGNORED_LABEL), self._starts)
        for name in _POSITIONS_OF_SPANS:
            if kwargs.get(name) is not None:  # models take what is negative for the first token, and ignore what is beyond the last
                kwargs[name] = kwargs[name].clamp(min=0) + self.length


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> None:
    """Put a prompt in front of the model's tokens; it starts as the embeddings of random tokens."""
    config = cast(Any, model.config)
    is_encoder_decoder = bool(getattr(config, "is_encoder_decoder", False))
    reader: Any = cast(Any, model).get_encoder() if is_encoder_decoder else model
    embedding = reader.get_input_embeddings()
    tokens = torch.randint(embedding.weight.shape[0], (module.size,)).to(embedding.weight.device)
    with torch.no_grad():
        prompt = Prompt(embedding(tokens), filler(config))
    model.autopeft_prompt = prompt
    embedding.register_forward_hook(prompt.after_embedding)
    reader.register_forward_pre_hook(prompt.before_reader, with_kwargs=True)
    if is_encoder_decoder:
        model.register_forward_pre_hook(prompt.before_decoder, with_kwargs=True)
    else:
        model.register_forward_hook(prompt.after_model)


def _named(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return all arguments by name."""
    return {**dict(zip(inspect.signature(module.forward).parameters, args, strict=False)), **kwargs}


def _first_tokens(mask: Tensor) -> Tensor:
    """Return the index of each row's first token; what is before it is padding."""
    return (mask != 0).int().argmax(dim=1)


def _inserted(rows: Tensor, added: Tensor, starts: Tensor) -> Tensor:
    """Return batch x positions with the same P entries put into each row where it starts."""
    n_added, n_tokens = len(added), rows.shape[1]
    places = torch.arange(n_tokens + n_added, device=rows.device)
    starts = starts.to(rows.device)[:, None]
    source = torch.where(places < starts, places, torch.where(places < starts + n_added, n_tokens + places - starts, places - n_added))
    return torch.cat([rows, added.to(rows.dtype).expand(rows.shape[0], -1)], dim=1).gather(1, source)
