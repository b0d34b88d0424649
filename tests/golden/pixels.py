"""Makes tests/golden/pixels/: small image files of every supported kind, and their pixels as decoded by Pillow.

Run with: python tests/golden/pixels.py
Versions used: Pillow 13.0, NumPy 2, torchvision of PyTorch 2.15, SciPy 1.x (the exact versions are in cases.json).

decode/<name>      the file
decode/<name>.rgb  `ImageOps.exif_transpose(Image.open(name)).convert("RGB")`, rows of RGB bytes
refused/<name>     files that Pillow reads and Candling rejects
source/*.rgb       images of several shapes
resize/*.rgb       each of them resized by Pillow and torchvision: for every filter and size, first squashed, then cropped
degrade/*.rgb      the first of them after Pillow's JPEG and SciPy's Gaussian blur
cases.json         sizes, parameters, and the tolerance of each file's pixels
"""

import io
import json
import pathlib
import struct

import numpy as np
import PIL
import scipy
import torchvision
from PIL import Image, ImageCms, ImageOps
from scipy.ndimage import gaussian_filter

OUT = pathlib.Path(__file__).parent / "pixels"
WIDTH, HEIGHT = 29, 21


def picture(width, height, channels=3, seed=0):
    """Smooth waves with a little texture. Compresses like a photograph, and has no symmetry that would hide a wrong orientation."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for channel in range(channels):
        fx, fy, phase = 0.13 + 0.05 * channel, 0.21 - 0.04 * channel, 0.7 * channel
        wave = 128 + 80 * np.sin(fx * x + phase) + 50 * np.cos(fy * y - fx * x * 0.3)
        planes.append(wave + rng.normal(0, 4, (height, width)))
    return np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8)


RGB = Image.fromarray(picture(WIDTH, HEIGHT))
GREY = Image.fromarray(picture(WIDTH, HEIGHT, 1, seed=1)[..., 0])
ALPHA = Image.fromarray(picture(WIDTH, HEIGHT, 1, seed=2)[..., 0])
RGBA = Image.merge("RGBA", (*RGB.split(), ALPHA))
PALETTE = RGB.quantize(17)


def saved(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png(width, height, depth, color, rows):
    """Encodes raw rows as a PNG of a kind that Pillow reads but does not write."""
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def png16(channels, color):
    samples = np.random.default_rng(3).integers(0, 65536, (HEIGHT, WIDTH * channels)).astype(">u2")
    return png(WIDTH, HEIGHT, 16, color, [row.tobytes() for row in samples])


def oriented(orientation, format="JPEG", **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(RGB, format, exif=exif, **options)


# Tolerance of JPEG pixels in levels: the greatest and the mean difference from Pillow, as measured on photographs and
# noise (crates/pixels/src/decode/jpeg.rs); the means of small files like these are a little larger.
EXACT = (0, 0.0)
JPEG_RGB, JPEG_444, JPEG_422, JPEG_420 = (1, 0.02), (3, 0.05), (4, 0.21), (5, 0.45)


def files():
    """Returns name, bytes and tolerance of each file."""
    yield "baseline-420.jpg", saved(RGB, "JPEG", quality=85), JPEG_420
    yield "baseline-422.jpg", saved(RGB, "JPEG", quality=85, subsampling="4:2:2"), JPEG_422
    yield "baseline-444.jpg", saved(RGB, "JPEG", quality=95, subsampling="4:4:4"), JPEG_444
    yield "progressive.jpg", saved(RGB, "JPEG", quality=85, progressive=True), JPEG_420
    yield "restart.jpg", saved(RGB, "JPEG", quality=85, restart_marker_blocks=1), JPEG_420
    yield "grey.jpg", saved(GREY, "JPEG", quality=85), JPEG_RGB
    yield "rgb-stored.jpg", saved(RGB, "JPEG", quality=90, keep_rgb=True), JPEG_RGB
    yield "cmyk.jpg", saved(RGB.convert("CMYK"), "JPEG", quality=90), JPEG_RGB
    for orientation in (2, 3, 5, 6, 8):
        yield f"orientation-{orientation}.jpg", oriented(orientation, quality=90), JPEG_420
    yield "trailing-bytes.jpg", saved(RGB, "JPEG", quality=85) + b"\0camera preview" * 3, JPEG_420
    yield "rgb.png", saved(RGB, "PNG"), EXACT
    yield "rgba.png", saved(RGBA, "PNG"), EXACT
    yield "orientation-6.png", oriented(6, "PNG"), EXACT
    yield "grey.png", saved(GREY, "PNG"), EXACT
    yield "grey-alpha.png", saved(Image.merge("LA", (GREY, ALPHA)), "PNG"), EXACT
    yield "bilevel.png", saved(GREY.convert("1"), "PNG"), EXACT
    yield "grey-2bit.png", png(WIDTH, HEIGHT, 2, 0, [bytes(range(y, y + 8)) for y in range(HEIGHT)]), EXACT
    yield "palette.png", saved(PALETTE, "PNG"), EXACT
    yield "palette-transparent.png", saved(PALETTE, "PNG", transparency=3), EXACT
    yield "rgb-16bit.png", png16(3, 2), EXACT
    yield "rgba-16bit.png", png16(4, 6), EXACT
    yield "grey-alpha-16bit.png", png16(2, 4), EXACT
    yield "lossless.webp", saved(RGB, "WEBP", lossless=True), EXACT
    yield "lossless-alpha.webp", saved(RGBA, "WEBP", lossless=True, exact=True), EXACT
    yield "lossy.webp", saved(RGB, "WEBP", quality=80), EXACT
    yield "orientation-6.webp", oriented(6, "WEBP", lossless=True), EXACT
    yield "animated.webp", saved(RGB, "WEBP", lossless=True, save_all=True, append_images=[RGB.rotate(180)]), EXACT
    yield "rgb.bmp", saved(RGB, "BMP"), EXACT
    yield "grey.bmp", saved(GREY, "BMP"), EXACT
    yield "palette.bmp", saved(PALETTE, "BMP"), EXACT
    yield "rgb.tif", saved(RGB, "TIFF"), EXACT
    yield "lzw.tif", saved(RGB, "TIFF", compression="tiff_lzw"), EXACT
    yield "deflate.tif", saved(RGBA, "TIFF", compression="tiff_adobe_deflate"), EXACT
    yield "orientation-6.tif", saved(RGB, "TIFF", tiffinfo={0x0112: 6}), EXACT
    yield "palette.gif", saved(PALETTE, "GIF"), EXACT
    yield "transparent.gif", saved(PALETTE, "GIF", transparency=3), EXACT
    yield "animated.gif", saved(PALETTE, "GIF", save_all=True, append_images=[PALETTE.rotate(180)]), EXACT
    yield "misnamed.png", saved(RGB, "JPEG", quality=85), JPEG_420


def refused():
    """Returns TIFF files in colour spaces that Candling rejects."""
    lab = ImageCms.profileToProfile(RGB, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB")
    yield "palette.tif", saved(PALETTE, "TIFF")
    yield "grey-alpha.tif", saved(Image.merge("LA", (GREY, ALPHA)), "TIFF")
    # The profile is omitted, because it contains the time of creation.
    yield "lab.tif", saved(lab, "TIFF", icc_profile=None)
    yield "ycbcr.tif", saved(RGB.convert("YCbCr"), "TIFF")
    yield "float.tif", saved(GREY.convert("F"), "TIFF")


def bytes_of(image):
    return np.asarray(image.convert("RGB")).tobytes()


def decoding(folder):
    for name, data, (greatest, mean) in files():
        (folder / name).write_bytes(data)
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        (folder / f"{name}.rgb").write_bytes(bytes_of(image))
        yield {"file": name, "width": image.width, "height": image.height, "greatest": greatest, "mean": mean}


FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


# Width, height and target sizes of each image. Pillow 13 resizes the columns first if the height shrinks by more than
# twice as many pixels as the width. 36x48 to 24 is just at that limit. With 64x32 to 11, centres fall between two pixels.
SHAPES = [
    (41, 33, (7, 16, 33, 40)),
    (36, 48, (11, 24)),
    (27, 64, (11, 24)),
    (64, 32, (11, 24)),
    (36, 36, (11, 40)),
    (3, 90, (11, 24)),
    (90, 3, (11, 24)),
]


def resizing(sources, folder):
    for width, height, sizes in SHAPES:
        source = Image.fromarray(picture(width, height, seed=4))
        file = f"{width}x{height}.rgb"
        (sources / file).write_bytes(bytes_of(source))
        resized = b""
        for name, resample in FILTERS.items():
            mode = torchvision.transforms.InterpolationMode(name)
            for size in sizes:
                squash = source.resize((size, size), resample)
                short_side = torchvision.transforms.Resize(size, mode)(source)
                crop = torchvision.transforms.CenterCrop(size)(short_side)
                resized += bytes_of(squash) + bytes_of(crop)
        (folder / file).write_bytes(resized)
        yield {"file": file, "width": width, "height": height, "sizes": sizes}


def degrading(folder, source):
    pixels = np.asarray(source).astype(np.float64)
    for sigma in (0.5, 1.5, 4.0):
        blurred = gaussian_filter(pixels, sigma=(sigma, sigma, 0))
        file = f"blur-{sigma}.rgb"
        (folder / file).write_bytes(np.rint(blurred).astype(np.uint8).tobytes())
        yield {"file": file, "operation": "blur", "value": sigma}
    for quality in (95, 60, 30):
        decoded = Image.open(io.BytesIO(saved(source, "JPEG", quality=quality)))
        file = f"jpeg-{quality}.rgb"
        (folder / file).write_bytes(bytes_of(decoded))
        yield {"file": file, "operation": "jpeg", "value": quality}


def main():
    folders = {name: OUT / name for name in ("decode", "refused", "source", "resize", "degrade")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
    for name, data in refused():
        (folders["refused"] / name).write_bytes(data)
    cases = {
        "versions": {
            "pillow": PIL.__version__,
            "numpy": np.__version__,
            "torchvision": torchvision.__version__,
            "scipy": scipy.__version__,
        },
        "decode": list(decoding(folders["decode"])),
        "filters": list(FILTERS),
        "resize": list(resizing(folders["source"], folders["resize"])),
        "degrade": list(degrading(folders["degrade"], Image.fromarray(picture(*SHAPES[0][:2], seed=4)))),
    }
    (OUT / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
