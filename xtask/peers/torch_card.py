"""Measures the peak of a CUDA card with PyTorch: matrix products and a copy.

    python torch_card.py --seconds 3

Prints three JSON lines: for the bf16 and the f32 product of 8192 x 8192 matrices, and for a copy (bytes read plus bytes
written).
"""
import argparse

import torch

from common import median_seconds, print_measurement

SIDE, COPIED = 8192, 1 << 30


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3)
    args = parser.parse_args()
    program = f"PyTorch {torch.__version__} on {torch.cuda.get_device_name()}"
    # True f32 without TF32, as in Candling's convolutions.
    torch.backends.cuda.matmul.allow_tf32 = False

    def timed(work):
        def block():
            for _ in range(10):
                work()
            torch.cuda.synchronize()
        return median_seconds(block, args.seconds) / 10

    for name, dtype in [("bf16", torch.bfloat16), ("f32", torch.float32)]:
        a, b = (torch.randn(SIDE, SIDE, device="cuda").to(dtype) for _ in range(2))
        out = torch.empty_like(a)
        seconds = timed(lambda: torch.matmul(a, b, out=out))
        print_measurement(program, 2 * SIDE**3 / seconds / 1e9, "GFLOP/s", None, name=name)
    source = torch.ones(COPIED, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    print_measurement(program, 2 * COPIED / timed(lambda: target.copy_(source)) / 1e9, "GB/s", None, name="copy")


if __name__ == "__main__":
    main()
