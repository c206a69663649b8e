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
    "TriAdaptLoRA (arXiv 2501.08008)": "a low-rank change whose rank grows where its norm does: a `WeightChange` and a hook's `after_step`",
    "HUT (arXiv 2409.13501)": "its update is a Hadamard product with low-rank matrices, as `hira` has one; the two were not compared",
    "GreenTrainer (arXiv 2309.13192)": "the measured cost of each tensor's backward pass; a hook's `frozen` carries the choice out",
    "EPT (arXiv 2405.11464), PTEC (arXiv 2309.12075)": "prompts that are projected or have a head of their own, as `dept` is one",
    "Polyhistor (arXiv 2210.03265)": "several tasks at once, which its hypernetwork is shared by",
    "connected adapters for retrieval (SIGIR 2022)": "a module that two encoders share",
    "token pruning (arXiv 2201.03327), SPT (arXiv 2312.10365)": "layers that leave out tokens, weights of attention or hidden units",
    "RoSTE (arXiv 2502.09003)": "full fine-tuning with weights, activations, keys and values rounded to few bits after rotations that are "
    "chosen as it trains: straight-through gradients as a `WeightChange`, rotations folded into neighbouring linears, kernels to run the "
    "result. [Quantised backbones](quantised.md) are another thing: frozen, and what is trained over them is not rounded",
}
"""By method, what it would take."""
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
    lines += ["", "## Published methods that are missing, and what they would need", ""]
    lines += [f"- {name}: {need}." for name, need in MISSING.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
