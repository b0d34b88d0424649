"""Measures the conversion of JPEG files to normalised tensors, with one process per core, as in a PyTorch data loader.

    python ingest_files.py pillow|simplejpeg --list FILES.txt --size 224

`pillow` decodes and resizes with Pillow and makes the tensor with torchvision. `simplejpeg` decodes with libjpeg-turbo and is
otherwise the same. Prints one JSON line with the images/s of all processes together.
"""
import argparse
import multiprocessing
import os
import time

from common import print_measurement

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
convert = None


def prepare(decoder, size):
    """Imports the libraries of a worker process, before the measurement starts."""
    global convert
    import torch
    from PIL import Image
    from torchvision import transforms

    torch.set_num_threads(1)
    steps = transforms.Compose([transforms.Resize((size, size)), transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    if decoder == "pillow":
        def convert_one(path):
            return steps(Image.open(path).convert("RGB"))
    else:
        import simplejpeg

        def convert_one(path):
            with open(path, "rb") as file:
                jpeg = file.read()
            return steps(Image.fromarray(simplejpeg.decode_jpeg(jpeg)))
    convert = convert_one


def work(paths):
    for path in paths:
        convert(path)
    return len(paths)


def version(decoder):
    if decoder == "pillow":
        import PIL
        import torchvision
        return f"Pillow {PIL.__version__} + torchvision {torchvision.__version__}"
    import simplejpeg
    return f"simplejpeg {simplejpeg.__version__} (libjpeg-turbo) + torchvision"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("decoder", choices=["pillow", "simplejpeg"])
    parser.add_argument("--list", required=True)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--seconds", type=float, default=8)
    args = parser.parse_args()
    program = version(args.decoder)
    with open(args.list) as file:
        paths = file.read().splitlines()
    cores = len(os.sched_getaffinity(0))
    chunks = [paths[i:i + 16] for i in range(0, len(paths), 16)]
    with multiprocessing.Pool(cores, prepare, (args.decoder, args.size)) as pool:
        pool.map(work, chunks[:2 * cores], chunksize=1)  # starts every worker, and reads the files into the page cache
        done, start = 0, time.perf_counter()
        while done == 0 or time.perf_counter() < start + args.seconds:
            done += sum(pool.map(work, chunks, chunksize=1))
        seconds = time.perf_counter() - start
    print_measurement(program, done / seconds, "images/s", None, threads=cores)


if __name__ == "__main__":
    main()
