"""Writes predictions of made-up detectors and their metrics by scikit-learn.

Run: python tests/golden/judge.py
The committed files were made with the versions that tests/golden/metrics.py names; judge.json records them.
"""

import csv
import json
from pathlib import Path

import numpy as np
from scipy.special import expit

from metrics import VERSIONS, at_threshold, probability, rank

HERE = Path(__file__).parent / "judge"
GENERATORS = ["diffusion", "gan"]


def detectors(rng, labels):
    margins = rng.normal(size=len(labels)) * 2 + 2.2 * (labels - 0.5)
    scores = expit(margins)
    scores[:60:3] = scores[60]  # ties between the classes
    scores[[7, 8, 31]] = [0.0, 1.0, 1e-30]  # probabilities that round to 0 and 1, and one near 0
    return {
        "probabilities": scores,
        "logits": rng.normal(size=len(labels)) * 3 + 1.5 * (labels - 0.3),
        "verdicts": (scores >= 0.4).astype(float),
    }


def expected(labels, values, name):
    p = expit(values) if name == "logits" else values
    out = at_threshold(labels, p, 0.5)
    if name != "verdicts":
        out |= rank(labels, values) | probability(labels, p)
    return out


def main():
    HERE.mkdir(exist_ok=True)
    rng = np.random.default_rng(15)
    labels = (rng.random(240) < 0.45).astype(int)
    generators = [GENERATORS[rng.integers(2)] if label else "" for label in labels]
    golden = {"versions": VERSIONS}
    columns = {"probabilities": "p_fake", "logits": "logit", "verdicts": "verdict"}
    for name, values in detectors(rng, labels).items():
        of_generators = {}
        for generator in GENERATORS:
            kept = np.array([label == 0 or found == generator for label, found in zip(labels, generators)])
            of_generators[generator] = expected(labels[kept], values[kept], name)
        golden[name] = expected(labels, values, name) | {"generators": of_generators}
        with open(HERE / f"{name}.csv", "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["path", columns[name], "label", "generator"])
            for index, value in enumerate(values):
                writer.writerow([f"{index:03}.png", repr(float(value)), labels[index], generators[index]])
    (HERE / "judge.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
