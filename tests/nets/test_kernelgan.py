"""KernelGAN's networks against the plain layers that they stand for."""

import torch
import torch.nn.functional as F

from redeg_cli.nets.kernelgan import KERNEL, LAYERS, PATCH, LinearGenerators, PatchJudges, shrink


def seeds(*numbers: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(number) for number in numbers]


def test_a_generator_is_its_layers_one_after_the_other() -> None:
    net = LinearGenerators(seeds(0, 1), channels=4)
    images = torch.rand((2, 3, 33, 37), generator=torch.Generator().manual_seed(0))
    found = shrink(images, net.kernels())
    for row in range(2):
        x = images[row][:, None]  # the layers see each channel by itself
        for index, weight in enumerate(net.filters):
            x = F.conv2d(x, weight[row], stride=2 if index == len(LAYERS) - 1 else 1)
        torch.testing.assert_close(found[row], x[:, 0], atol=1e-5, rtol=1e-4)


def test_the_gradients_are_those_of_the_layers() -> None:
    net = LinearGenerators(seeds(3), channels=4)
    images = torch.rand((1, 3, 20, 20), generator=torch.Generator().manual_seed(0))
    shrink(images, net.kernels()).square().sum().backward()
    found = [weight.grad for weight in net.filters]
    net.zero_grad()
    x = images[0][:, None]
    for index, weight in enumerate(net.filters):
        x = F.conv2d(x, weight[0], stride=2 if index == len(LAYERS) - 1 else 1)
    x.square().sum().backward()
    for one, weight in zip(found, net.filters, strict=True):
        torch.testing.assert_close(one, weight.grad, atol=1e-4, rtol=1e-3)


def test_shrinking_is_a_convolution_of_stride_2() -> None:
    kernels = torch.rand((2, KERNEL, KERNEL), generator=torch.Generator().manual_seed(1))
    images = torch.rand((2, 3, 30, 26), generator=torch.Generator().manual_seed(2))
    for row, found in enumerate(shrink(images, kernels)):
        wanted = F.conv2d(images[row][:, None], kernels[row][None, None], stride=2)[:, 0]
        torch.testing.assert_close(found, wanted)


def test_an_image_is_alone_whatever_its_neighbours_are() -> None:
    pair = PatchJudges(seeds(0, 1), channels=8), LinearGenerators(seeds(2, 3), channels=8)
    single = PatchJudges(seeds(1), channels=8), LinearGenerators(seeds(3), channels=8)
    images = torch.rand((2, 3, 12, 12), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(pair[0](images)[1:], single[0](images[1:]))
    torch.testing.assert_close(pair[1].kernels()[1:], single[1].kernels())
    pair[0](images)[1].sum().backward()
    assert all(not bool(weight.grad[0].any()) for weight in pair[0].weights)
    assert all(bool(weight.grad[1].any()) for weight in pair[0].weights[:1])


def test_a_judge_sees_patches_of_7_px() -> None:
    judge = PatchJudges(seeds(0), channels=8)
    images = torch.rand((1, 3, 16, 14), generator=torch.Generator().manual_seed(0))
    logits = judge(images)
    assert logits.shape == (1, (16 - PATCH + 1) * (14 - PATCH + 1))
    assert bool(((logits > 0) & (logits < 1)).all())


def test_the_weights_of_a_judge_have_a_largest_singular_value_of_1() -> None:
    judge = PatchJudges(seeds(0, 1), channels=8)
    images = torch.rand((2, 3, 9, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for _ in range(200):
            judge(images)
        for level in range(len(judge.weights)):
            largest = torch.linalg.matrix_norm(judge._normalised(level), 2)
            torch.testing.assert_close(largest, torch.ones(2), atol=1e-3, rtol=0)
