"""What stands in for torch's functions on a processor must be what they are, but for time and the last bits."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from autopeft.training.cpu_kernels import LONGEST_QUADRATIC, CpuKernels

BATCH, HEADS, LENGTH, WIDTH = 2, 4, 12, 8
CLOSE = {"rtol": 0.02, "atol": 0.02}
"""bfloat16 has eight bits."""


def tensors(*shape: int, heads: int = HEADS) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    length = shape[0] if shape else LENGTH
    query = torch.randn(BATCH, HEADS, LENGTH, WIDTH)
    return query, torch.randn(BATCH, heads, length, WIDTH), torch.randn(BATCH, heads, length, WIDTH)


def attention(trio: tuple[Tensor, Tensor, Tensor], **options: object) -> tuple[Tensor, list[Tensor]]:
    """Return attention's output and the gradients of the sum of its squares, in float32."""
    query, key, value = (tensor.clone().requires_grad_() for tensor in trio)
    output = functional.scaled_dot_product_attention(query, key, value, **options).float()
    output.square().sum().backward()
    return output.detach(), [tensor.grad.float() for tensor in (query, key, value)]


def padding(length: int) -> Tensor:
    mask = torch.ones(BATCH, 1, LENGTH, length, dtype=torch.bool)
    mask[0, ..., length - 3 :] = False
    return mask


@pytest.mark.parametrize(
    ("trio", "options"),
    [
        (tensors(), {}),
        (tensors(), {"attn_mask": padding(LENGTH)}),
        (tensors(), {"attn_mask": torch.zeros(BATCH, 1, LENGTH, LENGTH).masked_fill(~padding(LENGTH), -torch.inf)}),
        (tensors(), {"is_causal": True}),
        (tensors(), {"scale": 0.7}),
        (tensors(LENGTH + 5), {"attn_mask": padding(LENGTH + 5)}),
        (tensors(heads=2), {"enable_gqa": True, "is_causal": True}),
    ],
    ids=["plain", "masked", "added mask", "causal", "scaled", "cross", "grouped"],
)
def test_attention_is_attention(trio: tuple[Tensor, Tensor, Tensor], options: dict[str, object]) -> None:
    expected, expected_gradients = attention(trio, **options)
    with CpuKernels(), torch.autocast("cpu", torch.bfloat16):
        output, gradients = attention(trio, **options)
    assert not torch.equal(output, expected)  # it was in bfloat16
    torch.testing.assert_close(output, expected, **CLOSE)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, rtol=0.05, atol=0.1)


def test_a_query_that_may_look_at_nothing_is_no_nan() -> None:
    mask = padding(LENGTH)
    mask[1, :, 0] = False
    for kind in (mask, torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)):
        with CpuKernels(), torch.autocast("cpu", torch.bfloat16):
            output, gradients = attention(tensors(), attn_mask=kind)
        assert all(tensor.isfinite().all() for tensor in (output, *gradients))


@pytest.mark.parametrize("differentiated", [True, False])
def test_attentions_dropout_keeps_the_mean(differentiated: bool) -> None:
    trio = tensors()
    expected = functional.scaled_dot_product_attention(*trio)
    query, key, value = (tensor.bfloat16().requires_grad_(differentiated) for tensor in trio)
    with CpuKernels():
        drawn = [functional.scaled_dot_product_attention(query, key, value, dropout_p=0.3).float() for _ in range(400)]
    assert not torch.equal(drawn[0], drawn[1])
    torch.testing.assert_close(torch.stack(drawn).mean(0), expected, rtol=0.1, atol=0.12)


def test_long_sequences_keep_the_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autopeft.training.cpu_kernels.torch.softmax", lambda *_: pytest.fail("all weights were computed"))
    query = torch.randn(1, 1, LONGEST_QUADRATIC + 1, 4, dtype=torch.bfloat16, requires_grad=True)
    with CpuKernels():
        functional.scaled_dot_product_attention(query, query, query).sum().backward()
        with pytest.raises(pytest.fail.Exception):
            functional.scaled_dot_product_attention(query[:, :, 1:], query[:, :, 1:], query[:, :, 1:])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_drops_as_many_and_keeps_the_mean(dtype: torch.dtype, p: float) -> None:
    torch.manual_seed(0)
    ones = torch.ones(301, 997, dtype=dtype, requires_grad=True)
    with CpuKernels():
        output = functional.dropout(ones, p)
    output.sum().backward()
    n, dropped = ones.numel(), int((output == 0).sum())
    assert abs(dropped - n * p) < 5 * (n * p * (1 - p)) ** 0.5
    assert output.detach().float().max().item() == pytest.approx(1 / (1 - p), rel=5e-3 if dtype == torch.bfloat16 else 1e-3)
    assert torch.equal(ones.grad, output.detach())
    columns = (output.detach() == 0).float().mean(0)  # none is favoured, the first of four random numbers or the last
    assert columns.std().item() == pytest.approx((p * (1 - p) / 301) ** 0.5, rel=0.1)


def test_dropout_follows_torchs_seed() -> None:
    def draw() -> Tensor:
        torch.manual_seed(3)
        with CpuKernels():
            return functional.dropout(torch.ones(7, 5), 0.5)

    assert torch.equal(draw(), draw())


@pytest.mark.parametrize("p", [0.0, 1e-9, 1 - 1e-9, 1.0])
def test_dropout_of_nothing_and_of_all(p: float) -> None:
    with CpuKernels():
        assert torch.equal(functional.dropout(torch.ones(5), p), torch.full((5,), float(p < 0.5)))
        assert torch.equal(functional.dropout(torch.ones(5), p, training=False), torch.ones(5))


@pytest.mark.parametrize("shape", [(5, 16), (2, 3, 16), (16,)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_is_linear(shape: tuple[int, ...], bias: bool) -> None:
    layer = torch.nn.Linear(16, 24, bias=bias)
    x = torch.randn(shape)
    expected = layer(x).detach()
    with CpuKernels(), torch.inference_mode():
        torch.testing.assert_close(layer(x), expected)


def test_linear_takes_what_does_not_lie_in_a_row() -> None:
    weight, x = torch.randn(16, 24).t(), torch.randn(16, 7).t()
    bias = torch.randn(48)[::2]
    expected = functional.linear(x, weight, bias)
    with CpuKernels(), torch.no_grad():
        torch.testing.assert_close(functional.linear(x, weight, bias), expected)
        torch.testing.assert_close(functional.linear(x[:0], weight, bias), expected[:0])


def test_what_is_differentiated_or_not_float32_is_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Tensor:
        raise AssertionError

    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", fail)
    layer = torch.nn.Linear(4, 4)
    cases: list[Callable[[], Tensor]] = [
        lambda: layer(torch.randn(2, 4)),
        lambda: functional.linear(torch.randn(2, 4).double(), layer.weight.detach().double()),
    ]
    with CpuKernels():
        assert cases[0]().requires_grad
        with torch.no_grad():
            assert cases[1]().dtype == torch.float64
            with pytest.raises(AssertionError):
                cases[0]()
