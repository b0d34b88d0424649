"""Prints the logits that onnxruntime computes with an exported detector of branches. `tests/tests/onnx.rs` compares them.

    python tests/peers/onnx_detector.py ONNX FILE...

Prepares each file as the metadata of ONNX say, and prints an array [[real, fake], ...]. For versions see
xtask/peers/requirements.txt.
"""
import json
import sys

import numpy as np
import onnx
import onnxruntime
from PIL import Image

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}


def centre(image, size):
    """The centre of an image, size x size."""
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))


def parts(image, preprocessing, count):
    """The whole image, and its centre at native resolution."""
    size, shorter = preprocessing["size"], preprocessing["shorter_side"]
    if preprocessing["fit"] == "squash":
        sides = (shorter, shorter)
    else:
        scale = shorter / min(image.size)
        sides = tuple(max(shorter, round(side * scale)) for side in image.size)
    whole = centre(image.resize(sides, FILTERS[preprocessing["filter"]]), size)
    native = centre(image, size) if min(image.size) >= size else whole
    return [whole, native][:count]


def prepared(image, preprocessing):
    """The input of one branch."""
    mean, std = (np.float32(preprocessing[key]) for key in ["mean", "std"])
    pixels = np.stack([np.asarray(part) for part in parts(image, preprocessing, preprocessing["parts"])])
    x = ((pixels / np.float32(255) - mean) / std).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(x if len(x) > 1 else x[0], np.float32)


def main():
    path, files = sys.argv[1], sys.argv[2:]
    onnx.checker.check_model(path, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["id2label"]) == {"0": "real", "1": "fake"}, metadata["id2label"]
    preprocessing = json.loads(metadata["preprocessing"])
    assert {value.name for value in session.get_inputs()} == set(preprocessing)
    images = [Image.open(file) for file in files]
    logits = []
    # The size of a batch is free.
    for batch in [images[:1], images[1:]]:
        inputs = {name: np.stack([prepared(image, how) for image in batch]) for name, how in preprocessing.items()}
        logits.append(session.run(["logits"], inputs)[0])
    print(json.dumps(np.concatenate(logits).tolist()))


main()
