"""Closed forms of the weight-level methods: the parameters that one linear gets.

Symbols: i and o the linear's widths in and out, r the module's size, m = min(i, o).
"""

from collections.abc import Callable
from math import ceil, isqrt

from autopeft.configuration import PeftModule
from autopeft.methods.closed_forms import gate
from autopeft.methods.topology import Linear, Topology

Form = Callable[[PeftModule, Linear], int]


def over_linears(one: Form) -> Callable[[PeftModule, Topology], int]:
    """Return the count of a method that adds up over the linears it adapts."""
    return lambda module, topology: sum(one(module, linear) for linear in topology.linears(module.layers, module.targets))


def sparse_entries(module: PeftModule, topology: Topology) -> int:
    """Return r entries in a thousand of all targets together, at least one."""
    total = sum(linear.fan_in * linear.fan_out for linear in topology.linears(module.layers, module.targets))
    return max(1, round(total * module.size / 1000))


def sparse_entries_of(module: PeftModule, linear: Linear) -> int:
    """Return r entries in a thousand of the weight, at least one."""
    return max(1, round(linear.fan_in * linear.fan_out * module.size / 1000))


def dsee(module: PeftModule, linear: Linear) -> int:
    """Return r(i + o) + N: the factors, and N entries."""
    return low_rank(module, linear) + int(module.options["entries"])


def triangular(module: PeftModule, linear: Linear) -> int:
    """Return r(i + o) + r(r + 1): the factors, and two triangles between them."""
    return low_rank(module, linear) + module.size * (module.size + 1)


def mean_rank(module: PeftModule) -> int:
    """Return the mean rank that targets grow to, as a whole number."""
    return round(module.size * float(module.options["mean_rank_fraction"]))


def low_rank(module: PeftModule, linear: Linear) -> int:
    """Return r(i + o): a factor on either side."""
    return module.size * (linear.fan_in + linear.fan_out)


def lora(module: PeftModule, linear: Linear) -> int:
    """Return r(i + o), and o magnitudes with DoRA; gated, i + 1 more."""
    return low_rank(module, linear) + (linear.fan_out if module.options["dora"] else 0) + gate(module, linear.fan_in)


def adalora(module: PeftModule, linear: Linear) -> int:
    """Return r(i + o) + r: the factors and the singular values between them."""
    return low_rank(module, linear) + module.size


def loha(module: PeftModule, linear: Linear) -> int:
    """Return 2r(i + o): two low-rank matrices, multiplied entry by entry."""
    return 2 * low_rank(module, linear)


def lokr(module: PeftModule, linear: Linear) -> int:
    """Return the size of a full small factor and a large one, low-rank unless that saves nothing; their widths multiply to i and o."""
    (small_in, large_in), (small_out, large_out) = _nearest_factors(linear.fan_in), _nearest_factors(linear.fan_out)
    decomposed = module.size < max(large_in, large_out) / 2
    return small_in * small_out + (module.size * (large_in + large_out) if decomposed else large_in * large_out)


def vera(module: PeftModule, linear: Linear) -> int:
    """Return r + o: a vector in the middle and one at the end of frozen random factors."""
    return module.size + linear.fan_out


def randlora(module: PeftModule, linear: Linear) -> int:
    """Return n(r + m) with n = ceil(m / r) frozen random bases, each with two learned diagonals."""
    narrow = min(linear.fan_in, linear.fan_out)
    return ceil(narrow / module.size) * (module.size + narrow)


def oft(module: PeftModule, linear: Linear) -> int:
    """Return the r(r - 1)/2 numbers of each of i/r skew-symmetric blocks of r x r."""
    return linear.fan_in // module.size * (module.size * (module.size - 1) // 2)


def boft(module: PeftModule, linear: Linear) -> int:
    """Return ir + o: i/r blocks of r x r, and a scale for each output."""
    return linear.fan_in * module.size + linear.fan_out


def hra(module: PeftModule, linear: Linear) -> int:
    """Return ri: one reflection each."""
    return module.size * linear.fan_in


def miss(module: PeftModule, linear: Linear) -> int:
    """Return ro: one matrix, shared by slices of the input."""
    return module.size * linear.fan_out


def per_linear(module: PeftModule, linear: Linear) -> int:
    """Return r, whatever the linear's widths."""
    return module.size


def c3a(module: PeftModule, linear: Linear) -> int:
    """Return io/r: a circulant kernel of length r for each pair of slices."""
    return linear.fan_in * linear.fan_out // module.size


def outputs(module: PeftModule, linear: Linear) -> int:
    """Return o: one number an output."""
    return linear.fan_out


def ia3(module: PeftModule, linear: Linear) -> int:
    """Return o, a scale for each output, or i where the linear ends the FFN: there its input is scaled."""
    return linear.fan_in if linear.role == "ffn_out" else linear.fan_out


def delora(module: PeftModule, linear: Linear) -> int:
    """Return r(i + o) + 1: the factors and a strength."""
    return low_rank(module, linear) + 1


def glora(module: PeftModule, linear: Linear) -> int:
    """Return 2r(i + o) for a factor on the weight and a term beside it; with a bias, r(i + 1) + 2 more for what moves it."""
    return 2 * low_rank(module, linear) + (module.size * (linear.fan_in + 1) + 2 if linear.has_bias else 0)


def psoft(module: PeftModule, linear: Linear) -> int:
    """Return r(r - 1)/2 + 2r: a rotation of the principal subspace and two scalings."""
    return module.size * (module.size - 1) // 2 + 2 * module.size


def peanut(module: PeftModule, linear: Linear) -> int:
    """Return 2ro: a small network that reads the weight's columns."""
    return 2 * module.size * linear.fan_out


def _nearest_factors(width: int) -> tuple[int, int]:
    """Return the two factors of a width that are nearest to each other, the smaller first."""
    small = next(factor for factor in range(isqrt(width), 0, -1) if width % factor == 0)
    return small, width // small
