#!/usr/bin/env bash
# With fused=True, torch's optimizers on a CPU move elements by the gradients of others.
#
# torch 2.13.0, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# SGD, Adam, AdamW and Adagrad of torch take fused=True, which is to compute the same faster. On a CPU,
# their kernels read weights, gradients and state in the order of memory, whatever that order is. Where
# one of them lies in another order than the weights, an element is moved by the gradient or the state of
# another one. Nothing is raised, and the loss may still fall. That is so
#   - where a gradient of torch.autograd.grad is assigned to .grad, as that of a convolution of images in
#     channels_last. backward() brings it into the order of the weights;
#   - where a model is changed to memory_format=torch.channels_last after its first step: the state keeps
#     the order that it had.
# With fused=False, the default, and with gradients in the order of the weights, all is right. On a GPU
# such tensors are refused: pytorch issues 106951 and 110758, both about that error.
#
# Seen, the largest difference of a weight from that of fused=False, with a learning rate of 0.1:
#   gradients of torch.autograd.grad, 1 step       SGD 0.01  Adam 0.20  AdamW 0.20  Adagrad 0.20
#   the same in the order of the weights           SGD 0.00  Adam 0.00  AdamW 0.00  Adagrad 0.00
#   channels_last after 3 steps, 3 more            SGD 0.08  Adam 0.19  AdamW 0.19  Adagrad 0.03
#   channels_last from the beginning, 6 steps      SGD 0.00  Adam 0.00  AdamW 0.00  Adagrad 0.00
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    torch==2.13.0 numpy==2.4.6

cat > "$dir/fused.py" <<'PYTHON'
import torch

OPTIMIZERS = {
    "SGD": {"momentum": 0.9},
    "Adam": {},
    "AdamW": {},
    "Adagrad": {},
}


def optimizer(name, weights, fused):
    return getattr(torch.optim, name)(weights, lr=0.1, fused=fused, **OPTIMIZERS[name])


def derived(name, fused, in_order):
    """Weights of a convolution of channels_last images after a step with their gradient."""
    torch.manual_seed(0)
    model, images = torch.nn.Conv2d(3, 8, 3), torch.randn(4, 3, 8, 8)
    images = images.to(memory_format=torch.channels_last)
    [gradient] = torch.autograd.grad(model(images).square().mean(), [model.weight])
    assert gradient.stride() != model.weight.stride()
    model.weight.grad = gradient.contiguous() if in_order else gradient
    optimizer(name, [model.weight], fused).step()
    return model.weight.detach()


def changed(name, fused, before):
    """Weights of a convolution that has become channels_last before a step, counted from 0."""
    torch.manual_seed(0)
    model, images = torch.nn.Conv2d(3, 8, 3), torch.randn(4, 3, 8, 8)
    steps = optimizer(name, model.parameters(), fused)
    for step in range(6):
        if step == before:
            model = model.to(memory_format=torch.channels_last)
        steps.zero_grad()
        (model(images) - images.mean()).square().mean().backward()
        steps.step()
    return model.weight.detach()


def differences(weights, *arguments):
    return {
        name: (weights(name, True, *arguments) - weights(name, False, *arguments)).abs().max().item()
        for name in OPTIMIZERS
    }


for text, found, differs in (
    ("gradients of torch.autograd.grad, 1 step", differences(derived, False), True),
    ("the same in the order of the weights", differences(derived, True), False),
    ("channels_last after 3 steps, 3 more", differences(changed, 3), True),
    ("channels_last from the beginning, 6 steps", differences(changed, 0), False),
):
    print(f"{text:45}", "  ".join(f"{name} {value:.2f}" for name, value in found.items()))
    for name, value in found.items():
        assert (value > 0.01) if differs else (value < 1e-4), (text, name, value)
PYTHON

CUDA_VISIBLE_DEVICES="" "$dir/venv/bin/python" "$dir/fused.py"
