"""Writes golden values of metrics, temperature scaling and paired tests.

Run: python tests/golden/metrics.py
The committed files were made with scikit-learn 1.9.1, scipy 1.17.1 and numpy 2.4.6; each file records its versions.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import scipy
import scipy.stats
import sklearn
from scipy.interpolate import interp1d
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn import metrics
from sklearn.calibration import calibration_curve

HERE = Path(__file__).parent / "metrics"
VERSIONS = {"scikit-learn": sklearn.__version__, "scipy": scipy.__version__, "numpy": np.__version__}
BINS = 15
nan = float("nan")


def number(value):
    return None if value is None or np.isnan(value) else float(value)


def at_threshold(labels, scores, threshold):
    called = (scores >= threshold).astype(int)
    tn, fp, fn, tp = metrics.confusion_matrix(labels, called, labels=[0, 1]).ravel().tolist()
    both = len(set(labels.tolist())) == 2
    return {
        "threshold": threshold,
        "confusion": {"true_negative": tn, "false_positive": fp, "false_negative": fn, "true_positive": tp},
        "accuracy": number(metrics.accuracy_score(labels, called)),
        "balanced_accuracy": number(metrics.balanced_accuracy_score(labels, called)) if both else None,
        "real_accuracy": number(metrics.recall_score(1 - labels, 1 - called, zero_division=nan)),
        "fake_accuracy": number(metrics.recall_score(labels, called, zero_division=nan)),
        "precision": number(metrics.precision_score(labels, called, zero_division=nan)),
        "recall": number(metrics.recall_score(labels, called, zero_division=nan)),
        "f1": number(metrics.f1_score(labels, called, zero_division=nan)),
    }


def rank(labels, scores):
    fakes, reals = int(labels.sum()), int((1 - labels).sum())
    names = ["roc_auc", "pr_auc", "equal_error_rate", "tpr_at_fpr_1", "tpr_at_fpr_5"]
    out = dict.fromkeys(names)
    if fakes:
        out["pr_auc"] = number(metrics.average_precision_score(labels, scores))
    if fakes and reals:
        out["roc_auc"] = number(metrics.roc_auc_score(labels, scores))
        fpr, tpr, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
        line = interp1d(fpr + tpr, fpr)  # FPR along the curve; FPR + TPR = 1 is where FPR = FNR
        out["equal_error_rate"] = number(line(1.0))
        out["tpr_at_fpr_1"] = number(tpr[fpr <= 0.01].max())
        out["tpr_at_fpr_5"] = number(tpr[fpr <= 0.05].max())
    return out


def risk(labels, scores):
    """Risk-coverage curve of the verdicts at 0.5; images of equal confidence are kept together."""
    confidence, wrong = np.abs(scores - 0.5), (scores >= 0.5) != (labels == 1)
    kept = confidence[None, :] >= confidence[:, None]
    coverage, risk = kept.mean(1), (kept & wrong).sum(1) / kept.sum(1)
    points = sorted(set(zip(coverage.tolist(), risk.tolist(), strict=True)))
    return {
        "risk_coverage_area": float(risk.mean()),
        "coverage_at_5_wrong": float(coverage[risk <= 0.05].max(initial=0.0)),
        "curve": [list(column) for column in zip(*points, strict=True)],
    }


def probability(labels, scores):
    share, mean = calibration_curve(labels, scores, n_bins=BINS, strategy="uniform")
    edges = np.linspace(0.0, 1.0, BINS + 1)
    counts = np.bincount(np.searchsorted(edges[1:-1], scores), minlength=BINS)
    return {
        "brier": number(metrics.brier_score_loss(labels, scores, labels=[0, 1], pos_label=1)),
        "log_loss": number(metrics.log_loss(labels, scores, labels=[0, 1])),
        "expected_calibration_error": number((counts[counts > 0] * np.abs(share - mean)).sum() / len(labels)),
    }


def case(name, labels, scores):
    labels, scores = np.asarray(labels, dtype=int), np.asarray(scores, dtype=float)
    out = {"name": name, "labels": labels.tolist(), "scores": scores.tolist()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out["rank"] = rank(labels, scores)
        out["risk"] = risk(labels, scores)
        out["probability"] = probability(labels, scores)
        out["at"] = [at_threshold(labels, scores, threshold) for threshold in (0.5, 0.3)]
        if 0 < labels.sum() < len(labels):
            fpr, tpr, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
            precision, recall, _ = metrics.precision_recall_curve(labels, scores)
            out["roc"] = [fpr.tolist(), tpr.tolist()]
            out["pr"] = [recall[:-1][::-1].tolist(), precision[:-1][::-1].tolist()]
    return out


def simulated(rng, fakes, reals, shift=1.5, decimals=None):
    labels = np.r_[np.ones(fakes, int), np.zeros(reals, int)]
    scores = expit(rng.normal(size=fakes + reals) + shift * (labels - 0.5))
    order = rng.permutation(len(labels))
    scores = np.round(scores, decimals) if decimals is not None else scores
    return labels[order], scores[order]


def metric_cases():
    rng = np.random.default_rng(20)
    return [
        case("no ties", *simulated(rng, 40, 35)),
        case("ties", *simulated(rng, 40, 35, decimals=1)),
        case("heavy ties", *simulated(rng, 30, 41, decimals=0)),
        case("few fakes", *simulated(rng, 3, 70, decimals=2)),
        case("few real", *simulated(rng, 70, 2, decimals=2)),
        case("worse than chance", *simulated(rng, 25, 25, shift=-2)),
        case("one in a hundred", *simulated(rng, 20, 100, decimals=3)),
        case("constant", [0, 1, 1, 0, 1], [0.5] * 5),
        case("constant below", [0, 1, 1, 0, 1], [0.2] * 5),
        case("all real", [0, 0, 0, 0], [0.1, 0.7, 0.4, 0.4]),
        case("all fake", [1, 1, 1], [0.1, 0.7, 0.4]),
        case("all fake, none found", [1, 1, 1], [0.1, 0.2, 0.1]),
        case("perfect", [0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]),
        case("inverted", [1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9]),
        case("certain", [1, 0, 1, 0, 1, 0], [1.0, 0.0, 0.0, 1.0, 1.0, 0.0]),
        case("on the edges of bins", [0, 1] * 8, [k / BINS for k in range(BINS + 1)]),
        case("one image", [1], [0.9]),
    ]


def temperature_cases():
    rng = np.random.default_rng(21)
    out = []
    for name, scale in [("too certain", 4.0), ("too shy", 0.3), ("calibrated", 1.0)]:
        labels = rng.integers(0, 2, 80)
        margins = np.round(scale * (rng.normal(size=80) + 1.2 * (2 * labels - 1)), 4)

        def loss(log_t):
            return np.logaddexp(0, -(2 * labels - 1) * margins / np.exp(log_t)).mean()

        best = minimize_scalar(loss, bounds=(-4, 4), method="bounded", options={"xatol": 1e-12})
        out.append({
            "name": name, "labels": labels.tolist(), "margins": margins.tolist(),
            "temperature": float(np.exp(best.x)), "log_loss": float(best.fun),
        })
    return out


def delong(labels, a, b):
    """DeLong, DeLong and Clarke-Pearson 1988, term by term in O(mn)."""
    labels = np.asarray(labels, bool)
    v10, v01, areas = [], [], []
    for scores in (np.asarray(a, float), np.asarray(b, float)):
        x, y = scores[labels], scores[~labels]
        psi = (y[None, :] < x[:, None]) + 0.5 * (y[None, :] == x[:, None])
        v10.append(psi.mean(1))
        v01.append(psi.mean(0))
        areas.append(float(psi.mean()))
    s = np.cov(v10) / labels.sum() + np.cov(v01) / (~labels).sum()
    z = (areas[0] - areas[1]) / np.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1])
    return {
        "areas": areas, "variances": [float(s[0, 0]), float(s[1, 1])], "covariance": float(s[0, 1]),
        "z": float(z), "p": float(2 * scipy.stats.norm.sf(abs(z))),
    }


def delong_cases():
    rng = np.random.default_rng(22)
    out = []
    for name, n, decimals in [("no ties", 60, 6), ("ties", 70, 1), ("unbalanced", 50, 2)]:
        labels = (rng.random(n) < (0.2 if name == "unbalanced" else 0.5)).astype(int)
        shared = rng.normal(size=n) + labels
        a = np.round(shared + 0.5 * rng.normal(size=n), decimals)
        b = np.round(shared + 1.5 * rng.normal(size=n), decimals)
        out.append({"name": name, "labels": labels.tolist(), "a": a.tolist(), "b": b.tolist(), **delong(labels, a, b)})
    return [*out, published_delong()]


# The aSAH study (Turck et al. 2010): 41 patients with a poor outcome, then 72 with a good one. WFNS grades, and the ranks of
# S100B, which were recovered from the DeLong placements in pROC's tests.
WFNS = """
3 2 4 5 5 5 5 2 5 2 1 2 5 4 4 2 5 5 5 2 5 2 5 2 4 5 4 4 1 4 4 2 2 5 5 2
2 5 5 5 5 1 1 1 1 5 1 2 2 1 2 2 1 1 1 2 1 2 1 1 3 4 1 4 1 5 5 1 1 2 4 1
1 2 2 1 2 1 2 2 1 1 1 1 2 1 2 1 1 3 2 4 2 1 4 1 1 5 4 2 2 1 1 1 3 1 2 2
4 4 1 1 1
"""
S100B_RANKS = """
9 6 12 8 26 31 29 3 20 5 3 24 22 28 31 16 31 31 31 3 31 18 1 5 14 31 16 31 4 16 9 6 7 14 31 10
31 19 31 31 26 9 10 6 2 27 13 6 6 2 4 2 5 7 3 13 3 7 9 13 2 12 10 21 5 30 27 12 3 25 27 7
4 5 4 2 9 6 10 11 2 2 5 2 5 4 12 5 4 20 7 17 3 6 19 3 2 15 23 6 11 4 10 6 3 2 13 11
27 13 11 30 28
"""
# Results of roc.test(wfns, s100b), var and cov of R's pROC 1.18, as printed in its tests and documentation.
PUBLISHED = {
    "areas": [0.823678861788618, 0.731368563685637], "variances": [0.00146991470882363, 0.00266868245717244],
    "covariance": 0.00119615567376754, "z": 2.20898359144091, "p": 0.0271757822291882,
    "interval": [0.0104061769564846, 0.174214419249478],
}


def published_delong():
    wfns, s100b = ([int(rank) for rank in text.split()] for text in (WFNS, S100B_RANKS))
    return {"name": "aSAH, published", "labels": [1] * 41 + [0] * 72, "a": wfns, "b": s100b, **PUBLISHED}


def mcnemar_cases():
    out = []
    for b, c in [(10, 5), (0, 0), (0, 7), (59, 121), (121, 59), (3, 3), (1, 0), (1000, 1100), (200_000, 199_000)]:
        n = b + c
        statistic = (abs(b - c) - 1) ** 2 / n if n and abs(b - c) > 1 else 0.0
        out.append({
            "only_a": b, "only_b": c,
            "exact_p": float(scipy.stats.binomtest(b, n, 0.5).pvalue) if n else 1.0,
            "chi_square": statistic, "chi_square_p": float(scipy.stats.chi2.sf(statistic, 1)),
        })
    return out


def write(name, cases):
    lines = ",\n".join(json.dumps(entry) for entry in cases)
    text = f'{{"versions": {json.dumps(VERSIONS)},\n"cases": [\n{lines}\n]}}\n'
    (HERE / name).write_text(text)
    print(name, len(text), "bytes")


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    write("metrics.json", metric_cases())
    write("temperature.json", temperature_cases())
    write("delong.json", delong_cases())
    write("mcnemar.json", mcnemar_cases())
