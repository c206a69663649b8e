"""Write docs/methods.md: every PEFT method, and which model families take it.

Run it from the repository's root: python -m docs.generate_methods
"""

from collections.abc import Iterator
from pathlib import Path

from autopeft.configuration import Configuration
from autopeft.errors import UnsupportedError
from autopeft.methods.counting import resolve
from autopeft.methods.method import ANY_SCHEME, Method
from autopeft.methods.presets import PRESETS
from autopeft.methods.registry import all_methods
from tests.methods.families import FAMILIES, subject
from tests.methods.test_conformance import module_of

MISSING = {
    "Scattered or Connected (arXiv 2208.09847)": "modules beside the layers that hand on to the next ones what they hold; a layer that is "
    "computed a second time (gradient checkpointing) would have to get it again. The two encoders of a retrieval pair are one model here, "
    "so that every method is shared by them",
    "token pruning (arXiv 2201.03327)": "layers that hand on fewer tokens, with masks and positions that follow in every family; it trains "
    "nothing of its own, and a method here does",
    "DSEE's pruned weights (arXiv 2111.00160, its second half)": "masks over the pretrained weights beside the update: without kernels for "
    "sparse matrices a pruned model takes as long as before; `dsee` is the first half",
    "Mixtures of copied networks (arXiv 2401.15713)": "experts that are copies of the feed-forward network, each for one domain, and a "
    "column that says which domain an example is of; experts that are LoRA modules need the router's shares in each linear. `mixture` has "
    "adapters",
    "SPT's sparse attention (arXiv 2312.10365)": "a kernel: in plain products the weights outside the largest ones of a row are computed "
    "before they are left out, so that nothing is saved that the latency objective could see",
    "SPT's sparse feed-forward network (arXiv 2312.10365)": "each token computed with some groups of hidden units alone, which a router "
    "chooses. Gathering each group's tokens needs no kernel, but each family's feed-forward network written out anew: gated or not, with "
    "experts or not",
    "RoSTE (arXiv 2502.09003)": "full fine-tuning with weights, activations, keys and values rounded to few bits after rotations that are "
    "chosen as it trains: straight-through gradients as a `WeightChange`, rotations folded into neighbouring linears, kernels to run the "
    "result. [Quantised backbones](quantised.md) are another thing: frozen, and what is trained over them is not rounded",
}
"""By method, what it would take."""
COVERED = {
    "PTEC (arXiv 2309.12075)": "a prompt in front of a model with a classification head, the two at learning rates of their own, which is "
    "`prompt_tuning` with `prompt_rate`: every task of classes has such a head here",
    "HUT (arXiv 2409.13501)": "as its abstract has it, a weight times low-rank matrices entry by entry, W * UV, which is the W + W * BA of "
    "`hira` with one rank more, BA = UV - 1",
}
"""By method, how another one covers it."""
PAGE = Path(__file__).parent / "methods.md"


def reason_against(method: Method, family: str) -> str:
    """Return why a family cannot take a method; empty if it can."""
    topology = subject(family).topology
    try:
        resolve(Configuration((module_of(method, topology, {}),)), topology)
    except UnsupportedError as error:
        return str(error).split(": ", 1)[-1].rstrip(".")
    return ""


def table(columns: list[str], rows: list[list[str]]) -> Iterator[str]:
    for cells in (columns, ["---"] * len(columns), *rows):
        yield f"| {' | '.join(cells)} |"
    yield ""


def describe(method: Method) -> list[str]:
    options = ", ".join(f"`{option.name}`" for option in method.options) or "-"
    merges = "yes" if method.merges else "no"
    size = method.size_name or "-"
    return [f"`{method.name}`", method.kind, method.summary, size, options, method.needs, merges, over_quantised(method), method.paper]


def over_quantised(method: Method) -> str:
    """Return in a word or two whether a method stands over quantised linears."""
    exceptions = [f"{scheme}" for scheme in method.not_over]
    exceptions += [f"{scheme} with `{option.name}`" for option in method.options for scheme in option.not_over]
    if method.not_over == ANY_SCHEME:
        return "no"
    return f"yes, but not {', '.join(exceptions)}" if exceptions else "yes"


def page() -> str:
    methods = all_methods()
    gaps: dict[str, list[str]] = {}
    marks = []
    for method in methods:
        reasons = {family: reason_against(method, family) for family in FAMILIES}
        for family, reason in reasons.items():
            if reason:
                gaps.setdefault(f"`{method.name}`: {reason}", []).append(family)
        marks.append([f"`{method.name}`", *("-" if reasons[family] else "yes" for family in FAMILIES)])
    lines = ["# PEFT methods", "", "<!-- Written by docs/generate_methods.py; a test compares it. -->", ""]
    lines += [f"{len(methods)} methods, tested on {len(FAMILIES)} families of models.", ""]
    columns = ["method", "kind", "what is trained", "size", "options", "needs", "merges", "over [quantised](quantised.md) linears", "paper"]
    lines += table(columns, [describe(method) for method in methods])
    lines += ["## Presets", ""]
    lines += table(["preset", "what it is", "paper"], [[f"`{preset.name}`", preset.summary, preset.paper] for preset in PRESETS.values()])
    lines += ["## Which family takes which method", "", "A method with a gap is left out of that family's search space.", ""]
    lines += table(["method", *FAMILIES], marks)
    lines += ["### Why not", ""]
    lines += [f"- {reason} ({', '.join(families)})" for reason, families in gaps.items()]
    lines += ["", "## Published methods that others cover", ""]
    lines += [f"- {name}: {how}." for name, how in COVERED.items()]
    lines += ["", "## Published methods that are missing, and what they would need", ""]
    lines += [f"- {name}: {need}." for name, need in MISSING.items()]
    lines += ["", "## How they are trained", ""]
    lines += [
        "Schedules, rates, penalties, noise, and what is done to the examples are no methods but parameters of a space, for any of these",
        "to be trained with. [Recipes](recipes.md) lists them, what is missing there, and what it would need.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
