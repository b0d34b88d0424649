"""Measures PyTorch's batch norms of ResNet-50 alone: in training, forward and backward, channels-last, on a CUDA card.

    python torch_norms.py --batch 128 --dtype bf16|float16|f32

PyTorch uses cuDNN's batch norm for float16 and its own kernels for bf16; the program's name in the output includes the one
that was used. Unlike Candling's kernels, neither includes the ReLU or the residual addition. Prints one JSON line with the
median images/s.
"""
import argparse

import torch
import torchvision

from common import median_seconds, print_measurement

# Repetitions between two synchronisations with the card.
BLOCK = 10
DTYPES = dict(bf16=torch.bfloat16, float16=torch.float16, f32=torch.float32)


def shapes(batch, size):
    """Returns the input shape of each batch norm of the network, found on the meta device without computing."""
    model, found = torchvision.models.resnet50(num_classes=2).to("meta"), []
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_hook(lambda module, inputs, output: found.append(inputs[0].shape))
    model(torch.empty(batch, 3, size, size, device="meta"))
    return found


def layer(shape, dtype, device):
    """Returns a batch norm with f32 parameters, its input and the gradient of its output."""
    noise = [torch.rand(shape, device=device, dtype=dtype) * 2 - 1 for _ in range(2)]
    x, gradient = (values.contiguous(memory_format=torch.channels_last) for values in noise)
    return torch.nn.BatchNorm2d(shape[1], device=device), x.requires_grad_(), gradient


def work(layers):
    """Runs all layers forward, then backward to the gradients of input and parameters."""
    outputs = [norm(x) for norm, x, _ in layers]
    for (norm, x, gradient), output in zip(reversed(layers), reversed(outputs)):
        torch.autograd.grad(output, [x, norm.weight, norm.bias], gradient)


def backend(norm, x):
    """Returns the kernels that PyTorch selects: Cudnn or Native."""
    values = [norm.weight, norm.bias, norm.running_mean, norm.running_var]
    return torch._C._select_batch_norm_backend(x, *values, True, norm.eps).name


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--dtype", choices=DTYPES, default="bf16")
    args = parser.parse_args()
    torch.manual_seed(0)
    layers = [layer(shape, DTYPES[args.dtype], "cuda") for shape in shapes(args.batch, args.size)]

    def block():
        for _ in range(BLOCK):
            work(layers)
        torch.cuda.synchronize()

    seconds = median_seconds(block, args.seconds) / BLOCK
    program = f"PyTorch {torch.__version__} ({args.dtype} batch norm: {backend(*layers[0][:2])})"
    print_measurement(program, args.batch / seconds, "images/s", None)


if __name__ == "__main__":
    main()
