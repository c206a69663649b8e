import pytest
import torch

from autopeft.surrogates.kernel import Kernel, flag_kernel

GROUPS = ((1, 2, 3), (5, 6))
GENERATOR = torch.Generator().manual_seed(0)


def draw(n: int) -> torch.Tensor:
    points = torch.rand(n, 7, generator=GENERATOR, dtype=torch.double)
    flags = [column for group in GROUPS for column in group]
    points[:, flags] = points[:, flags].round()
    return points


def hyper(kernel: Kernel) -> dict[str, torch.Tensor]:
    return {prior.name: torch.rand(prior.size, generator=GENERATOR, dtype=torch.double) + 0.3 for prior in kernel.priors}


@pytest.mark.parametrize("groups", [(), GROUPS], ids=["plain", "grouped"])
def test_it_is_a_kernel(groups: tuple[tuple[int, ...], ...]) -> None:
    kernel, points = Kernel(7, groups), draw(40)
    values = kernel(points, points, hyper(kernel))
    assert values.diagonal().tolist() == pytest.approx([1.0] * 40)
    assert torch.linalg.eigvalsh(values).min() > -1e-9


def test_without_a_residual_masks_of_equal_weight_are_the_same() -> None:
    kernel = Kernel(7, GROUPS)
    chosen = hyper(kernel) | {"weights": torch.tensor([3.0, 1.0, 2.0, 1.0, 5.0]).double(), "residual_odds": torch.zeros(1)}
    # The weights of layers 1 and 2 of the first group add up to that of layer 0.
    a, b = torch.tensor([[0.5, 1, 0, 0, 0.2, 0, 1], [0.5, 0, 1, 1, 0.2, 0, 1]]).double().split(1)
    assert kernel(a, b, chosen).item() == pytest.approx(1.0)
    assert kernel(a, b, chosen | {"residual_odds": torch.ones(1)}).item() < 0.9


def test_a_group_of_one_flag_is_a_plain_coordinate() -> None:
    assert flag_kernel(4, [(0,), (1, 2)]).groups == ((1, 2),)
