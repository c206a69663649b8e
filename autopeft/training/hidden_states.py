"""Hidden states below a trial's lowest PEFT module, computed once per example and reused by every later batch, epoch and trial.

Blocks 0 to k-1, k being the *boundary*, hold nothing that is trained and run in eval mode, so what block k-1 puts out for an example is
always the same. It is *cached* for a whole split at once; afterwards a batch is *replayed*: blocks 0 to k-2 pass on what they get and
block k-1 returns what is cached. Embeddings, masks and positions stay the model's own. A cache entry is computed from a lower one if there
is one.

Padding adds exact zeros to attention, but matrix products of other shapes may round otherwise. So entries are computed in the batches
that evaluation uses, always the same: no number depends on the trials that came before, and evaluation has no rounding of its own.

Of inputs that are no tokens, images and sounds, it isn't known which positions are padding: they are cached where all examples have as
many, the shortest and the longest on their own too.

Entries stay in main memory. One that does not fit is not made, and its trial computes everything in every pass.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from autopeft.errors import VerificationError, hides_a_stop, in_one_line
from autopeft.methods.applied import AppliedModules
from autopeft.methods.outputs import first_tensor
from autopeft.methods.topology import Topology
from autopeft.tasks import Batch, Encoded
from autopeft.training.activation_cache import ActivationCache, CachedActivations, CacheKey
from autopeft.training.batches import EVALUATION_BATCH, evaluation_batches
from autopeft.training.cpu_kernels import CpuKernels
from autopeft.training.device import own_draws

TOLERANCE = 1e-4
"""By what share of the largest value cached hidden states and logits may differ from computed ones in float32. Rounding makes a
thousandth of that, and anything left out or drawn at random a hundred times as much."""
ROUNDINGS = 4
"""By how many times the precision of a 16-bit type they may where products are computed in it: batches of other shapes round otherwise."""
_DIFFERENT = "inputs without tokens are of different lengths"


class FrozenPart:
    """What lies below one trial's lowest PEFT module.

    Args:
        model: The model with the modules on it.
        blocks: The frozen blocks, from the input on.
        before: Modules that run before the first block.
        cache: Where hidden states are kept.
        reason: Why they can't be used, as a sentence; empty if they can.
        batch_size: Examples in a batch while the cache is filled.
    """

    def __init__(
        self,
        model: nn.Module,
        blocks: Sequence[nn.Module],
        before: Sequence[nn.Module],
        cache: ActivationCache,
        reason: str = "",
        batch_size: int = EVALUATION_BATCH,
    ) -> None:
        self._model = model
        self._blocks, self._before, self._cache = tuple(blocks), tuple(before), cache
        self._is_usable, self._batch_size = not reason, batch_size
        self._used: dict[CacheKey, CachedActivations | None] = {}
        self.reason = reason
        """Why hidden states are computed anew in every pass, as a sentence; empty if they are reused."""

    def eval(self) -> None:
        """Put the frozen part in eval mode: with dropout, an example would be another one in every pass."""
        for module in (*self._before, *self._blocks):
            module.eval()

    @contextmanager
    def reused(self, split: Encoded, indices: Sequence[int]) -> Iterator[None]:
        """Within this context, a forward pass of these examples replays what is cached. The first call for a split fills the cache."""
        with ExitStack() as stack:
            if self._is_usable and (cached := self.activations_of(split)) is not None:
                self._replay(stack, len(self._blocks), cached, indices)
            yield

    def keep(self, split: Encoded) -> None:
        """Cache a split's hidden states, unless that is done or they can't be reused."""
        if self._is_usable:
            self.activations_of(split)

    def activations_of(self, split: Encoded) -> CachedActivations | None:
        """Return a split's cached hidden states, computing them first if need be; None, with `reason` set, where it can't be kept."""
        device = self._device.type
        key = CacheKey(id(split), len(self._blocks), torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None)
        if key not in self._used:
            self._used[key] = self._cache.get(key) or self._compute(key, split)
            self._cache.pins[key] += 1
        return self._used[key]

    def release(self) -> None:
        """Say that the trial is over: what it used may go."""
        self._cache.pins.subtract(self._used.keys())
        self._used.clear()

    def _compute(self, key: CacheKey, split: Encoded) -> CachedActivations | None:
        """Return a new cache entry, or None with `reason` set."""
        self.eval()
        lower = self._cache.highest_below(key)
        cached = None
        for indices in evaluation_batches(split, self._batch_size):
            with torch.no_grad(), CpuKernels(), ExitStack() as stack:
                if lower is not None:
                    self._replay(stack, *lower, indices)
                batch = split.batch(indices).to(self._device)
                output = _output_of(self._blocks[-1], self._model, batch.inputs)
            if cached is None:
                cached = self._allocate(split, batch, output)
                if cached is None:
                    return None
            if cached.n_positions not in (None, first_tensor(output).shape[1]):
                self.reason = _DIFFERENT
                return None
            cached.write(indices, first_tensor(output))
        if cached is not None:
            self._cache.put(key, cached)
        return cached

    def _allocate(self, split: Encoded, batch: Batch, output: Any) -> CachedActivations | None:
        hidden, ids = first_tensor(output), batch.inputs.get("input_ids")
        n_positions = None
        if ids is None and hidden.dim() == 3 and hidden.shape[0] == len(batch.targets):
            n_positions = hidden.shape[1]
            if not self._all_have(n_positions, split):
                self.reason = _DIFFERENT
                return None
        elif ids is None or hidden.shape[:2] != ids.shape:
            self.reason = "the layers' output is not one row a token"
            return None
        if isinstance(output, tuple) and any(entry is not None for entry in output[1:]):
            self.reason = "the layers hand each other more than hidden states"
            return None
        cached = CachedActivations(split, output, n_positions)
        if not self._cache.make_room(cached.size_bytes, pinned=self._used):
            self.reason = f"the hidden states of {len(split):,} examples take {cached.size_bytes:,} bytes, too many for --cache-bytes"
            return None
        return cached

    def _all_have(self, n_positions: int, split: Encoded) -> bool:
        """Return whether the shortest and the longest example have so many positions each, without padding."""
        for index in {int(split.lengths.argmin()), int(split.lengths.argmax())}:
            with torch.no_grad(), CpuKernels():
                output = _output_of(self._blocks[-1], self._model, split.batch([index]).to(self._device).inputs)
            if first_tensor(output).shape[1] != n_positions:
                return False
        return True

    def _replay(self, stack: ExitStack, boundary: int, cached: CachedActivations, indices: Sequence[int]) -> None:
        """Until the stack is closed, have the block below the boundary return what is cached, and those below it compute nothing."""

        def pass_on(*args: Any, **kwargs: Any) -> Any:
            return cached.shaped(_hidden_states(args, kwargs))

        def replay(*args: Any, **kwargs: Any) -> Any:
            return cached.read(indices, _hidden_states(args, kwargs).shape[1], self._device)

        for block in self._blocks[: boundary - 1]:
            stack.enter_context(_forward_replaced(block, pass_on))
        stack.enter_context(_forward_replaced(self._blocks[boundary - 1], replay))

    @property
    def _device(self) -> torch.device:
        return next(self._model.parameters()).device


class _Verdict(NamedTuple):
    """Whether hidden states at a boundary can be replayed."""

    is_frozen: bool
    """Whether nothing below is trained."""
    reason: str
    """Why they can't; empty if they can."""


class HiddenStates:
    """What is cached on one resident backbone, for all its trials.

    Args:
        model: A transformers model without PEFT modules.
        topology: Its topology.
        example_batch: A tiny real batch.
        cache_bytes: Memory that cached hidden states may take; the entry not used for longest goes first.
    """

    def __init__(self, model: nn.Module, topology: Topology, example_batch: Mapping[str, Tensor], cache_bytes: int) -> None:
        self._model = model
        # Of several stacks only the first: what lies above an encoder needs all of it.
        self._blocks = [model.get_submodule(block.name) for block in topology.blocks if block.stack == topology.blocks[0].stack]
        self._before = _called_before(self._blocks, model, example_batch)
        self._cache = ActivationCache(cache_bytes)
        self._verdicts: dict[tuple[int, frozenset[str]], _Verdict] = {}

    def on(self, skeleton: nn.Module) -> "HiddenStates":
        """Return the same for another model over the same weights: what one has cached, the other replays."""
        names = {module: name for name, module in self._model.named_modules()}
        other = copy(self)
        other._model = skeleton
        other._blocks = [skeleton.get_submodule(names[block]) for block in self._blocks]
        other._before = tuple(skeleton.get_submodule(names[module]) for module in self._before)
        return other

    @property
    def held_bytes(self) -> int:
        """Memory that cached hidden states take."""
        return self._cache.held_bytes

    def below(self, applied: AppliedModules, split: Encoded, input_noise: str = "") -> FrozenPart:
        """Return what lies below the modules on the model.

        Whether it can be replayed is tried out, once per boundary and set of methods.

        Args:
            applied: The modules.
            split: Examples to try it out on.
            input_noise: What makes an example's embeddings others in every pass of training; empty if nothing does.
        """
        methods = frozenset(module.method for module in applied.configuration.modules)
        layers = {applied.topology.layer_of(name) for name in applied.module_parameters}
        layers |= {applied.topology.layer_of(name) for name in applied.head_parameters} - {None}
        boundary = min([len(self._blocks), *(-1 if layer is None else layer for layer in layers)])
        if not split.family.one_sequence_a_row:
            return self._part(boundary, "an example is several sequences")
        if boundary < 0:
            return self._part(0, f"{', '.join(sorted(methods))} trains something outside the layers", is_frozen=False)
        if (boundary, methods) not in self._verdicts:
            # A trial's numbers must not depend on whether it is the one that tries this out.
            with own_draws(next(self._model.parameters()).device):
                self._verdicts[boundary, methods] = self._try(boundary, split)
        is_frozen, reason = self._verdicts[boundary, methods]
        noise = f"{input_noise} changes inputs from pass to pass" if input_noise else ""
        return self._part(boundary, reason or noise, is_frozen=is_frozen)

    def _part(self, boundary: int, reason: str = "", *, is_frozen: bool = True) -> FrozenPart:
        if not is_frozen:
            return FrozenPart(self._model, (), (), self._cache, reason)
        return FrozenPart(self._model, self._blocks[:boundary], self._before, self._cache, reason)

    def _try(self, boundary: int, split: Encoded) -> _Verdict:
        """Compare a batch of two lengths with what is replayed from entries of one example each."""
        if boundary == 0:
            return _Verdict(True, "nothing lies below the first layer")
        ends = [int(split.lengths.argmin()), int(split.lengths.argmax())]
        few = split.take(ends)
        part = FrozenPart(self._model, self._blocks[:boundary], self._before, ActivationCache(2**63), batch_size=1)
        batch = few.batch([0, 1]).to(next(self._model.parameters()).device)
        was_training = self._model.training
        self._model.train()
        part.eval()
        try:
            hidden = first_tensor(_output_of(self._blocks[boundary - 1], self._model, batch.inputs))
            if hidden.requires_grad:
                return _Verdict(False, f"something below layer {boundary} is trained")
            cached = part.activations_of(few)
            if cached is None:
                return _Verdict(True, part.reason)
            replayed = first_tensor(cached.read([0, 1], hidden.shape[1], hidden.device))
            if not _agree(replayed, hidden * (replayed != 0)):  # padding is zeros in the cache, and of no account
                return _Verdict(True, "hidden states of an example differ from pass to pass")
            computed = self._logits(few, batch)
            try:
                with part.reused(few, [0, 1]):
                    found = self._logits(few, batch)
            except Exception as error:  # whatever a model's code raises where layers did not do all that they do
                if hides_a_stop(error):
                    raise KeyboardInterrupt from error
                return _Verdict(True, f"the layers above need more than hidden states: {in_one_line(error)}")
        finally:
            self._model.train(was_training)
        return _Verdict(True, "" if _agree(found, computed) else "cached hidden states do not give the logits that computed ones give")

    def _logits(self, split: Encoded, batch: Batch) -> Tensor:
        with own_draws(batch.targets.device):
            torch.manual_seed(0)  # layers above the boundary have dropout
            outputs = split.family.forward(self._model, batch)
        return first_tensor(outputs.to_tuple()).detach()


def _agree(one: Tensor, other: Tensor) -> bool:
    device = other.device.type
    share = ROUNDINGS * torch.finfo(torch.get_autocast_dtype(device)).eps if torch.is_autocast_enabled(device) else TOLERANCE
    return bool((one - other).abs().max() <= share * other.abs().max())


class _ReachedError(Exception):
    """Ends a forward pass where no more of it is needed."""

    def __init__(self, output: Any = None) -> None:
        self.output = output


def _output_of(block: nn.Module, model: nn.Module, batch: Mapping[str, Tensor]) -> Any:
    """Return what a block puts out for a batch; nothing above it is run."""

    def stop(module: nn.Module, args: Any, output: Any) -> None:
        raise _ReachedError(output)

    hook = block.register_forward_hook(stop)
    try:
        model(**batch)
    except _ReachedError as reached:
        return reached.output
    finally:
        hook.remove()
    raise VerificationError("a layer took no part in the forward pass", value=type(block).__name__)


def _called_before(blocks: Sequence[nn.Module], model: nn.Module, batch: Mapping[str, Tensor]) -> tuple[nn.Module, ...]:
    """Return the modules beside the blocks that run before the first of them."""
    inside = {module for block in blocks for module in block.modules()}
    beside = [module for module in model.modules() if inside.isdisjoint(module.modules())]
    called: list[nn.Module] = []
    hooks = [module.register_forward_pre_hook(lambda module, args: called.append(module)) for module in beside]
    try:
        with torch.no_grad():
            _output_of(blocks[0], model, batch)
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(called)


def _hidden_states(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    """Return what a block works on, its first argument."""
    hidden: Tensor = args[0] if args else next(iter(kwargs.values()))
    return hidden


@contextmanager
def _forward_replaced(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    own = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own
