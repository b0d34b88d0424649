"""Makes tests/golden/jpeg/: small JPEGs in many codings, and their pixels as decoded by libjpeg-turbo through Pillow.

Run with: python tests/golden/jpeg.py
Needs `cjpeg` and `jpegtran` of libjpeg-turbo (2.1.5 was used).
Versions used: Pillow 13.0 with libjpeg-turbo 3.2, NumPy 2 (the exact versions are in cases.json).

files/<name>.jpg   the files
pixels/<name>.rgb  `Image.open(file).convert("RGB")`, rows of RGB bytes. Lossless rewrites of a file have the same pixels.
cases.json         for each file of pixels: its size, and the codings of the files <pixels>-<coding>.jpg
"""

import io
import itertools
import json
import pathlib
import shutil
import subprocess
import tempfile

import numpy as np
import PIL
from PIL import Image, features

OUT = pathlib.Path(__file__).parent / "jpeg"


def picture(width, height, channels=3):
    """Waves, an edge and some texture, so that each sampling and each scan makes a difference."""
    rng = np.random.default_rng(width * 1000 + height)
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for channel in range(channels):
        wave = 128 + 70 * np.sin((0.13 + 0.06 * channel) * x + channel) + 50 * np.cos((0.21 - 0.05 * channel) * y)
        edge = 60 * ((x + 2 * y + 7 * channel) % 23 < 9)
        planes.append(wave - edge + rng.normal(0, 5, (height, width)))
    return np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8)


def run(command, data):
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def encoded(width, height, *options):
    """Encodes a picture with cjpeg."""
    buffer = io.BytesIO()
    Image.fromarray(picture(width, height)).save(buffer, "PPM")
    return run(["cjpeg", "-quality", "40", "-optimize", *options], buffer.getvalue())


def transcoded(data, scans=None, *options):
    """Rewrites a JPEG losslessly with jpegtran."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as script:
        script.write(scans or "")
        script.flush()
        scans = ["-scans", script.name] if scans else []
        return run(["jpegtran", "-copy", "all", "-optimize", *options, *scans], data)


# The factors of Y, Cb and Cr.
SAMPLINGS = {
    "444": "1x1",
    "422": "2x1",
    "420": "2x2",
    "440": "1x2",
    "411": "4x1",
    "410": "4x2",
    "441": "1x4",
    "y21-cb12-cr11": "2x1,1x2,1x1",
    "y22-cb21-cr21": "2x2,2x1,2x1",
    "y22-cb12-cr12": "2x2,1x2,1x2",
    "y21-cb21-cr11": "2x1,2x1,1x1",
    "y11-cb11-cr12": "1x1,1x1,1x2",
    "y11-cb21-cr21": "1x1,2x1,2x1",
    "y12-cb12-cr12": "1x2,1x2,1x2",
    "y21-cb21-cr21": "2x1,2x1,2x1",
}
SIZES = [(29, 21), (16, 16), (33, 17), (19, 34), (3, 5), (1, 1)]
SCANS = {
    "one": None,
    "per-component": "0; 1; 2;",
    "reversed": "2; 1; 0;",
    "luma-first": "0; 1 2;",
    "chroma-last": "0 1; 2;",
    "spectral": "0 1 2: 0-0, 0, 0; 0: 1-5, 0, 0; 2: 1-63, 0, 0; 1: 1-63, 0, 0; 0: 6-63, 0, 0;",
    "progressive": "PROGRESSIVE",
    "dc-component": "0: 0-0, 0, 1; 1: 0-0, 0, 0; 2: 0-0, 0, 0; 0: 0-0, 1, 0; 0: 1-63, 0, 2; 2: 1-63, 0, 1; 1: 1-63, 0, 1;"
    " 0: 1-63, 2, 1; 2: 1-63, 1, 0; 1: 1-63, 1, 0; 0: 1-63, 1, 0;",
}
# Blocks are units of the scan, rows are rows of them.
RESTARTS = {"": None, "-restart-unit": "1B", "-restart-row": "1"}


def rewritten(data, scans, restart):
    restart = ["-restart", restart] if restart else []
    if SCANS.get(scans) == "PROGRESSIVE":
        return transcoded(data, None, "-progressive", *restart)
    return transcoded(data, SCANS.get(scans, scans), *restart)


def with_segment(data, segment):
    """Inserts a segment after the JFIF segment, or replaces the Adobe segment."""
    at = data.find(b"\xff\xee")
    if at >= 0:
        length = int.from_bytes(data[at + 2 : at + 4], "big") + 2
        return data[:at] + segment + data[at + length :]
    at = 4 + int.from_bytes(data[4:6], "big")
    return data[:at] + segment + data[at:]


def without_jfif(data):
    return data[:2] + data[4 + int.from_bytes(data[4:6], "big") :]


def adobe(transform):
    return b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform])


def cmyk(**options):
    buffer = io.BytesIO()
    Image.fromarray(picture(29, 21, 4), "CMYK").save(buffer, "JPEG", quality=40, **options)
    return buffer.getvalue()


def cropped(data, width, height):
    """Makes an image smaller by its header. The rest of the last blocks then is not what an encoder would put there."""
    marker = b"\xff\xc2" if b"\xff\xc2" in data else b"\xff\xc0"
    at = data.find(marker) + 5
    return data[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + data[at + 4 :]


def groups():
    """Returns the name of some pixels, and the files that have them."""
    for (sampling, factors), (width, height) in itertools.product(SAMPLINGS.items(), SIZES):
        name = f"{sampling}-{width}x{height}"
        is_usual = sampling in ("444", "422", "420", "440", "411")
        if not is_usual and (width, height) not in [(29, 21), (19, 34)]:
            continue
        base = encoded(width, height, "-sample", factors)
        if is_usual and (width, height) == (29, 21):
            kinds = itertools.product(SCANS, RESTARTS)
        elif is_usual:
            kinds = [("one", ""), ("per-component", "-restart-unit"), ("progressive", "-restart-row")]
        else:
            kinds = [("one", ""), ("per-component", ""), ("progressive", "")]
        yield name, [(scans + restart, rewritten(base, scans, RESTARTS[restart])) for scans, restart in kinds]

    for sampling in ("444", "422", "420", "440"):
        base = encoded(32, 32, "-sample", SAMPLINGS[sampling])
        files = [(scans, rewritten(base, scans, None)) for scans in ("one", "progressive")]
        yield f"cropped-{sampling}", [(scans, cropped(data, 27, 29)) for scans, data in files]

    for factors in ("1x1", "2x2"):
        grey = encoded(29, 21, "-grayscale", "-sample", factors)
        kinds = [("one", None), ("one", "2B"), ("PROGRESSIVE", None), ("PROGRESSIVE", "1B")]
        files = []
        for kind, restart in kinds:
            restart_option = ["-restart", restart] if restart else []
            progressive = ["-progressive"] if kind == "PROGRESSIVE" else []
            files.append((f"{kind.lower()}-{restart or 0}", transcoded(grey, None, *progressive, *restart_option)))
        yield f"grey-{factors}", files

    rgb = encoded(29, 21, "-rgb")
    yield "rgb-by-ids", [(scans, rewritten(without_adobe(rgb), scans, None)) for scans in SCANS]
    ycbcr = encoded(29, 21, "-sample", "1x1")
    for transform in (0, 1, 2, 7):
        files = [(scans, rewritten(ycbcr, scans, None)) for scans in ("one", "per-component")]
        yield f"adobe-{transform}", [(n, d[:2] + adobe(transform) + without_jfif(d)[2:]) for n, d in files]
    yield "jfif-and-adobe-0", [("one", with_segment(ycbcr, adobe(0)))]
    yield "no-application-segments", [("one", without_jfif(ycbcr))]

    four = {"one": None, "per-component": "0; 1; 2; 3;", "pairs": "0 1; 2 3;"}
    for subsampling in ("4:4:4", "4:2:0"):
        inks = cmyk(subsampling=subsampling)
        files = [(scans, transcoded(inks, script)) for scans, script in four.items()]
        files.append(("progressive", transcoded(inks, None, "-progressive")))
        for name, transform in [("cmyk", 0), ("ycck", 2), ("four-adobe-1", 1)]:
            yield f"{name}-{subsampling.replace(':', '')}", [(n, with_segment(d, adobe(transform))) for n, d in files]


def without_adobe(data):
    at = data.find(b"\xff\xee")
    return data if at < 0 else data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]


def decoded(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def main():
    if OUT.exists():
        shutil.rmtree(OUT)
    (OUT / "files").mkdir(parents=True)
    (OUT / "pixels").mkdir()
    cases = []
    for name, files in groups():
        pixels = decoded(files[0][1])
        (OUT / "pixels" / f"{name}.rgb").write_bytes(pixels.tobytes())
        height, width, _ = pixels.shape
        cases.append({"pixels": name, "width": width, "height": height, "codings": [kind for kind, _ in files]})
        for kind, data in files:
            assert np.array_equal(decoded(data), pixels), (name, kind)
            (OUT / "files" / f"{name}-{kind}.jpg").write_bytes(data)
    versions = {
        "pillow": PIL.__version__,
        "numpy": np.__version__,
        "libjpeg-turbo": features.version("libjpeg_turbo"),
    }
    lines = ",\n".join(json.dumps(case) for case in cases)
    (OUT / "cases.json").write_text(f'{{"versions": {json.dumps(versions)},\n"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
