"""Measures onnxruntime's inference of the same network in f32, as an optimised graph with folded batch norms.

    python onnx_resnet50.py infer --batch 16

Prints one JSON line with the median images/s.
"""
import argparse
import io
import os

import numpy
import onnxruntime

from common import median_seconds, peak_bytes, print_measurement


def exported(size):
    """Returns ResNet-50 in evaluation mode, with a dynamic batch size, as ONNX bytes."""
    import torch
    import torchvision

    model = torchvision.models.resnet50(num_classes=2).eval()
    file = io.BytesIO()
    torch.onnx.export(model, (torch.zeros(1, 3, size, size),), file, input_names=["x"], output_names=["logits"],
                      dynamic_axes={"x": {0: "n"}, "logits": {0: "n"}}, dynamo=False)
    return file.getvalue()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["infer"])
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--seconds", type=float, default=8)
    args = parser.parse_args()
    options = onnxruntime.SessionOptions()
    # As many threads as the other programs use: one for each core that this process may use.
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    session = onnxruntime.InferenceSession(exported(args.size), options, providers=["CPUExecutionProvider"])
    x = numpy.random.default_rng(0).standard_normal((args.batch, 3, args.size, args.size), dtype=numpy.float32)
    seconds = median_seconds(lambda: session.run(None, {"x": x}), args.seconds)
    # No peak memory, because it would include the export in the same process.
    print_measurement(f"onnxruntime {onnxruntime.__version__}", args.batch / seconds, "images/s", None,
        threads=options.intra_op_num_threads)


if __name__ == "__main__":
    main()
