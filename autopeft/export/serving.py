"""What servers of LoRA adapters make of an exported one, and what stands in the way.

- vLLM 0.11 (`vllm/lora/peft_helper.py`, `vllm/config/lora.py`): reads r, alpha and rsLoRA once for all linears, refuses DoRA and
  `modules_to_save`, and takes ranks up to its `--max-lora-rank`, one of `VLLM_RANKS`.
- Text Generation Inference 3.3 (`server/text_generation_server/adapters/lora.py`): as vLLM, and it stacks the updates of one kind of
  linear over all layers, so that a kind which isn't adapted in every layer, or at another rank in some, is left out or fails.

Neither knows PiSSA, which takes a part out of the backbone's weights before it adds its own.
"""

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from autopeft.export.low_rank import LowRank, LowRanks

VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What `--max-lora-rank` can be."""
_VLLM, _TGI = "vLLM", "Text Generation Inference"


@dataclass(frozen=True)
class Serving:
    """What one server makes of an adapter."""

    server: str
    objections: tuple[str, ...]
    """Why it would refuse the adapter or compute something else, as clauses; empty if nothing that is known here stands in the way."""
    command: str
    """What starts it with the adapter, in the adapter's folder."""

    def describe(self) -> str:
        """Return it as one sentence."""
        if self.objections:
            return (
                f"{self.server} can't serve this adapter: {'; '.join(self.objections)}. It may serve the trial exported with --to merged."
            )
        return f"{self.server} serves it, if it takes LoRA on models of this family: {self.command}"


def servings(updates: LowRanks, saved: Sequence[str], model: str) -> tuple[Serving, ...]:
    """Return what each server makes of an adapter.

    Args:
        updates: Its LoRA.
        saved: Modules that it brings whole, such as a task head.
        model: What finds the backbone: a hub id or a folder.
    """
    common = _common_objections(updates, saved)
    highest = max(linear.rank for linear in updates.linears.values())
    room = next((rank for rank in VLLM_RANKS if rank >= highest), None)
    too_high = () if room is not None else (f"its rank {highest} is above {VLLM_RANKS[-1]}",)
    return (
        Serving(_VLLM, (*common, *too_high), f"`vllm serve {model} --enable-lora --max-lora-rank {room} --lora-modules autopeft=$PWD`"),
        Serving(_TGI, (*common, *_unstackable(updates)), f"`text-generation-launcher --model-id {model} --lora-adapters autopeft=$PWD`"),
    )


def _common_objections(updates: LowRanks, saved: Sequence[str]) -> tuple[str, ...]:
    scales = sorted({_scale(linear, bool(updates.options["rslora"])) for linear in updates.linears.values()})
    found = {
        f"it brings whole modules ({', '.join(saved)})": bool(saved),
        "it is DoRA": bool(updates.options["dora"]),
        "it is PiSSA": bool(updates.options["pissa"]),
        f"its linears are scaled differently ({', '.join(f'{scale:g}' for scale in scales)})": len(scales) > 1,
    }
    return tuple(words for words, holds in found.items() if holds)


def _scale(linear: LowRank, rslora: bool) -> float:
    """Return by what an update is multiplied: alpha / rank, with rsLoRA alpha / sqrt(rank) (Kalajdzievski, 2023, arXiv 2312.03732)."""
    return round(linear.alpha / (math.sqrt(linear.rank) if rslora else linear.rank), 9)


def _unstackable(updates: LowRanks) -> tuple[str, ...]:
    """Say which kinds of linear are not adapted alike in every layer; linears are of one kind if only their layer's number differs."""
    kinds: dict[str, list[int]] = defaultdict(list)
    for name, linear in updates.linears.items():
        kinds[re.sub(r"\.\d+\.", ".*.", name, count=1)].append(linear.rank)
    partial = sorted(kind for kind, ranks in kinds.items() if len(ranks) < updates.n_layers)
    mixed = sorted(kind for kind, ranks in kinds.items() if len(set(ranks)) > 1)
    return (
        *([f"it leaves out linears that are not adapted in all {updates.n_layers} layers ({', '.join(partial)})"] if partial else []),
        *([f"ranks of one linear may not differ between layers ({', '.join(mixed)})"] if mixed else []),
    )
