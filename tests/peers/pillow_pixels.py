"""Compares the pixels of all files in a folder with those of Pillow, and prints a table of classes.

    cargo build --release -p pixels --example decode-files
    python tests/peers/pillow_pixels.py FOLDER [--program target/release/examples/decode-files] [--list CLASS]

Classes:
agree            the same size and pixels
differ           another size or other pixels
rejected         only Candling rejects the file; with the reason
read             only Pillow rejects the file
both reject      neither reads the file
panicked         the decoder panicked

--list prints the files of a class with the details. 16-bit grey and other deliberate differences are documented in
crates/pixels/src/decode.rs. Pillow 13 was used.
"""

import argparse
import collections
import json
import pathlib
import subprocess
import sys
import warnings

import numpy as np
from PIL import Image, ImageOps

FAULT = "fault of the decoder"


def pillow_pixels(path):
    """Returns the pixels, or the error as text."""
    try:
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except Exception as error:  # Pillow raises errors of many types.
        return f"{type(error).__name__}: {error}"


def our_pixels(program, path):
    """Returns the pixels and the format, or the reason."""
    program.stdin.write(f"{path}\n".encode())
    program.stdin.flush()
    answer = json.loads(program.stdout.readline())
    if "error" in answer:
        return None, answer
    shape = (answer["height"], answer["width"], 3)
    pixels = program.stdout.read(shape[0] * shape[1] * 3)
    return np.frombuffer(pixels, np.uint8).reshape(shape), answer


def classify(ours, answer, theirs):
    """Returns the class, the reason or format, and details."""
    if ours is None:
        if FAULT in answer["error"]:
            return "panicked", "", answer["error"]
        if isinstance(theirs, str):
            return "both reject", answer["kind"], f"{answer['error']}; Pillow: {theirs}"
        return "rejected", answer["kind"], answer["error"]
    if isinstance(theirs, str):
        return "read", answer["format"], f"{answer['warning'] or 'no warning'}; Pillow: {theirs}"
    if ours.shape != theirs.shape:
        return "differ", answer["format"], f"shape {ours.shape}; Pillow: {theirs.shape}"
    difference = np.abs(ours.astype(np.int16) - theirs)
    greatest, mean = int(difference.max()), float(difference.mean())
    if greatest == 0:
        return "agree", answer["format"], answer["warning"] or ""
    return "differ", answer["format"], f"greatest {greatest}, mean {mean:.3f}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--program", default="target/release/examples/decode-files")
    parser.add_argument("--list", action="append", default=[])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None
    files = sorted(path for path in arguments.folder.rglob("*") if path.is_file() and "\n" not in str(path))
    program = subprocess.Popen([arguments.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    counts = collections.Counter()
    for path in files:
        ours, answer = our_pixels(program, path)
        kind, reason, details = classify(ours, answer, pillow_pixels(path))
        counts[kind, reason] += 1
        if kind in arguments.list:
            print(f"{kind}\t{path}\t{details}")
    for (kind, reason), count in sorted(counts.items()):
        print(f"{count:7} {kind:12} {reason}")
    print(f"{len(files):7} files")
    return 1 if any(kind == "panicked" for kind, _ in counts) else 0


if __name__ == "__main__":
    sys.exit(main())
