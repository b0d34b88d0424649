"""Makes tests/golden/signals/frequency.json: the frequency features of an image, computed with NumPy and SciPy.

Run with: python tests/golden/signals.py
The committed file was made with NumPy 2.4.6 and SciPy 1.17.1; it records its versions.

The features follow the definitions in crates/signals/src/frequency/, in the order of `feature_names`.
"""

import json
import pathlib

import numpy as np
import scipy
from scipy.fft import dctn
from scipy.ndimage import laplace, median_filter

OUT = pathlib.Path(__file__).parent / "signals"
WIDTH, HEIGHT = 150, 118
TILE = 64


def picture():
    """A ramp with blocks of 8 x 8 pixels that start at (3, 5), and noise. Makes the same bytes as crates/signals/tests/golden.rs."""
    image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    state = 1
    for y in range(HEIGHT):
        for x in range(WIDTH):
            block = ((x + 5) // 8 * 37 + (y + 3) // 8 * 91) % 24
            for channel in range(3):
                state = (state * 1664525 + 1013904223) % 2**32
                image[y, x, channel] = 30 + x // 2 + y // 2 + 17 * channel * (x // 40) // 2 + block + (state >> 24) % (8 + 8 * channel)
    return image


def planes(image):
    r, g, b = image.astype(np.float64).transpose(2, 0, 1)
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    return [luma, (b - luma) * 0.564, (r - luma) * 0.713]


def distribution(residual):
    deviation = np.sqrt((residual**2).mean())
    scale = deviation + 0.05
    out = [np.log(scale), np.abs(residual).mean() / scale, (residual**3).mean() / scale**3]
    out.append(np.log((residual**4).mean() / scale**4 + 0.1))
    bins, _ = np.histogram(np.abs(residual), bins=1024, range=(0, 128))
    for quantile in [0.5, 0.75, 0.9, 0.95, 0.99]:
        sums, count = np.cumsum(bins), quantile * residual.size
        bin = int(np.argmax((sums >= count) & (bins > 0)))
        out.append((bin + (count - (sums[bin] - bins[bin])) / bins[bin]) / 8 / scale)
    return out + [(np.abs(residual) < level).mean() for level in [0.5, 1.5, 3.5]]


def autocorrelations(residual):
    height, width = residual.shape
    variance = (residual**2).mean() + 0.05**2
    out = []
    for dx, dy in [(1, 0), (0, 1), (1, 1), (-1, 1), (2, 0), (0, 2)]:
        first = residual[: height - dy, max(-dx, 0) : width - max(dx, 0)]
        second = residual[dy:, max(dx, 0) : width - max(-dx, 0)]
        out.append((first * second).mean() / variance)
    return out


def residual_statistics(window, laplacians, medians):
    out = []
    for group in [laplacians, medians]:
        for residual in group:
            out += distribution(residual) + autocorrelations(residual)
        for a, b in [(0, 1), (0, 2), (1, 2)]:
            scale = np.sqrt((group[a] ** 2).mean() * (group[b] ** 2).mean()) + 0.05**2
            out.append((group[a] * group[b]).mean() / scale)
    noise = np.abs(medians[0])
    for band in range(4):
        inside = np.floor(window[0] / 64).clip(0, 3) == band
        rare = inside.sum() < 0.01 * inside.size
        out.append(0.0 if rare else np.log((noise[inside].mean() + 0.05) / (noise.mean() + 0.05)))
    for residual in medians:
        height, width = (side // 8 * 8 for side in residual.shape)
        cells = np.sort(np.abs(residual[:height, :width]).reshape(height // 8, 8, width // 8, 8).mean(axis=(1, 3)).ravel())
        out += [np.log(cells[(cells.size - 1) * percent // 100] + 0.05) for percent in [10, 25, 50, 75, 90]]
    return out


def power(residual):
    taper = np.hanning(TILE + 1)[:-1]
    window = taper[:, None] * taper
    hop = TILE // 2
    tiles = [
        np.abs(np.fft.fft2(residual[y : y + TILE, x : x + TILE] * window)) ** 2
        for y in range(0, residual.shape[0] - TILE + 1, hop)
        for x in range(0, residual.shape[1] - TILE + 1, hop)
    ]
    return np.mean(tiles, axis=0) / (window**2).sum()


def spectrum_features(spectrum, cells):
    logs = np.log(spectrum + 0.01)
    logs -= logs.mean()
    frequency = np.minimum(np.arange(TILE), TILE - np.arange(TILE))
    square = frequency[:, None] ** 2 + frequency**2
    not_zero = square > 0
    ring = np.minimum(np.sqrt(square * 2 * 16**2 // TILE**2), 15).astype(int)
    out = [logs[(ring == i) & not_zero].mean() for i in range(16)]

    surroundings = np.zeros_like(logs)
    for dy in range(-3, 4):
        for dx in range(-3, 4):
            if max(abs(dy), abs(dx)) > 1:
                surroundings += np.roll(logs, (-dy, -dx), axis=(0, 1)) / 40
    height = logs - surroundings
    for period in [2, 4, 8]:
        multiples = [m * TILE // period for m in range(1, period // 2 + 1, 2)]
        out.append(np.mean([[height[0, m], height[m, 0]] for m in multiples]))
        out.append(np.mean([[height[n, m], height[n, -m % TILE]] for m in multiples for n in multiples]))
    near_lattice = np.isin(np.arange(TILE) % 8, [0, 1, 7])
    elsewhere = (np.maximum(frequency[:, None], frequency) >= 6) & ~(near_lattice[:, None] & near_lattice)
    out.append(max(height[elsewhere].max(), 0.0))
    if cells:
        cell = np.minimum(frequency // 4, 7)
        for y in range(8):
            for x in range(8):
                out.append(logs[(cell[:, None] == y) & (cell == x) & not_zero].mean())
    return out


def edges(plane, axis):
    plane = plane if axis == 1 else plane.T
    a, b, c, d = (plane[:, i : plane.shape[1] - 3 + i] for i in range(4))
    strength = np.abs(3 * (c - b) - (d - a)).mean(axis=0)
    phases = (np.arange(strength.size) + 2) % 8
    means = np.array([strength[phases == phase].mean() for phase in range(8)])
    order = np.argsort(-means)
    ratio = lambda i: np.log((means[order[i]] + 0.05) / (means[order[i + 1 :]].mean() + 0.05))
    return order[0], ratio(0), ratio(1)


def block_features(window):
    out, grid = [], None
    for plane in window:
        columns, rows = edges(plane, 1), edges(plane, 0)
        grid = grid or (columns[0], rows[0])
        out += [(columns[1] + rows[1]) / 2, (columns[2] + rows[2]) / 2]
    left, top = grid
    diagonal = np.add.outer(np.arange(8), np.arange(8))
    by_diagonal = lambda values: [values[diagonal == i].mean() for i in range(1, 15)]
    for index, plane in enumerate(window):
        plane = plane[top:, left:]
        height, width = (side // 8 * 8 for side in plane.shape)
        blocks = plane[:height, :width].reshape(height // 8, 8, width // 8, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
        coefficients = np.abs(dctn(blocks, axes=(1, 2), norm="ortho"))
        magnitude = coefficients.mean(axis=0)
        logs = np.log(magnitude + 0.05)
        logs -= logs.ravel()[1:].mean()
        if index == 0:
            out += list(logs.ravel()[1:])
            out += by_diagonal(np.log(((coefficients**2).mean(axis=0) + 0.05) / (magnitude**2 + 0.05)))
            whole = coefficients.reshape(-1, 64)[:, 1:].astype(int).ravel()
            digits = np.array([int(str(value)[0]) for value in whole])
            counts = np.bincount(digits, minlength=10)[1:]
            out += list(counts / (counts.sum() + 1))
        else:
            out += by_diagonal(logs)
        out += by_diagonal((coefficients < 1).mean(axis=0))
    return out


def main():
    window = planes(picture())
    laplacians = [laplace(plane, mode="nearest") for plane in window]
    medians = [plane - median_filter(plane, size=3, mode="nearest") for plane in window]
    features = residual_statistics(window, laplacians, medians)
    for index, residual in enumerate([laplacians[0], medians[0], laplacians[1], laplacians[2]]):
        features += spectrum_features(power(residual), index < 2)
    features += block_features(window)
    versions = {"numpy": np.__version__, "scipy": scipy.__version__}
    values = [float(f"{value:.7g}") for value in features]
    OUT.mkdir(exist_ok=True)
    (OUT / "frequency.json").write_text(json.dumps({"versions": versions, "features": values}) + "\n")


main()
