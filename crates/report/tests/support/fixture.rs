//! The fixture: a run folder with the outputs of all earlier stages. It contains file names with markup, formulas and
//! terminal control sequences.

use std::collections::BTreeMap;
use std::path::Path;

use artifacts::hash::Hash;
use artifacts::predictions::{self, Prediction};
use artifacts::schema::{
    Bootstrap, Confusion, CurvePoint, Epoch, Example, ExampleKind, Explanations, HeatMap, IngestSummary, Metrics,
    Moments, Rejected, Robustness, RunMetrics, SanityCheck, Scores, SplitSummary,
};
use artifacts::{Checkpoint, Code, Label, Manifest, RunDir, Split, atomic, names};
use serde_json::{Value, json};

use super::{audit, scenes};

/// A file name with markup, a formula and a terminal control sequence.
pub(crate) const HOSTILE: &str = "test/fake/=<script>alert(1)</script>\u{1b}[31m\u{202e}gpj.\"'&.jpg";
/// A generator's name with markup.
pub(crate) const HOSTILE_GENERATOR: &str = "</script><img src=x onerror=alert(2)>";
/// The name of a column of a CSV list that attacks the page.
pub(crate) const HOSTILE_COLUMN: &str = "camera <b onload=alert(3)>";

/// Properties of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunSpec {
    /// The number of evaluated images.
    pub(crate) images: usize,
    /// The number of training runs.
    pub(crate) runs: usize,
    /// Whether the images include fakes.
    pub(crate) fakes: bool,
    /// Whether the data set is simulated.
    pub(crate) simulated: bool,
    /// Whether the data audit finds no shortcut.
    pub(crate) clean: bool,
    /// Whether the audited images are too few to find one.
    pub(crate) few: bool,
    /// Whether the fakes of the training split are reconstructions of its photographs.
    pub(crate) reconstructed: bool,
}

impl Default for RunSpec {
    fn default() -> RunSpec {
        RunSpec { images: 420, runs: 3, fakes: true, simulated: false, clean: false, few: false, reconstructed: false }
    }
}

/// The source of the data set.
pub(crate) const SOURCE: &str = "kaggle:someone/some-set-of-a-name-that-is-longer-than-a-line";

/// Writes a run into a folder.
pub(crate) fn write(dir: &Path, spec: RunSpec) -> RunDir {
    let run = RunDir::new(dir);
    write_ingest(&run, spec);
    for index in 0..spec.runs {
        write_training(&run.train_run(index), index);
    }
    write_evaluation(&run, spec);
    run
}

/// Completes the artifact of a stage with its manifest.
fn write_manifest(dir: &Path, stage: &str, config: Value, summary: Value) {
    let code = Code { version: 1, program: "0.1.0".to_owned(), executable: Hash::of(b"program") };
    let inputs = BTreeMap::from([("source".to_owned(), Hash::of(b"source"))]);
    let device = "cpu (2 threads)".to_owned();
    let manifest = Manifest::of(dir, stage, code).unwrap();
    Manifest { config, inputs, seconds: 321.5, device, summary, ..manifest }.write(dir).unwrap();
}

fn write_ingest(run: &RunDir, spec: RunSpec) {
    let dir = run.ingest();
    std::fs::create_dir_all(&dir).unwrap();
    let rejected = [
        Rejected {
            path: HOSTILE.to_owned(),
            reason: "truncated".to_owned(),
            detail: "the file ends <b>early</b>".to_owned(),
            id: None,
        },
        Rejected {
            path: "train/real/a.jpg".to_owned(),
            reason: "duplicate".to_owned(),
            detail: "of train/real/b.jpg".to_owned(),
            id: Some(Hash::of(b"a")),
        },
    ];
    let lines: String = rejected.iter().map(|file| serde_json::to_string(file).unwrap() + "\n").collect();
    std::fs::write(dir.join(names::REJECTED), lines).unwrap();
    atomic::write_json(&dir.join(names::AUDIT), &audit::audit(&spec)).unwrap();
    audit::write_shards(&dir);
    let generated_by = |images: u64, generator: &str| SplitSummary {
        labels: BTreeMap::from([(Label::Real, images / 2), (Label::Fake, images / 2)]),
        generators: BTreeMap::from([(String::new(), images / 2), (generator.to_owned(), images / 2)]),
        formats: BTreeMap::from([("jpeg".to_owned(), images)]),
    };
    let split = |images: u64| generated_by(images, HOSTILE_GENERATOR);
    let train = if spec.reconstructed { generated_by(1500, "reconstructed-pixel_shuffle") } else { split(1500) };
    let summary = IngestSummary {
        files: None,
        files_of_parts: Vec::new(),
        source: SOURCE.to_owned(),
        simulated: spec.simulated,
        size: [224, 224],
        seen: 2202,
        rejected: 2,
        rejected_by_reason: BTreeMap::from([("truncated".to_owned(), 1), ("duplicate".to_owned(), 1)]),
        splits: BTreeMap::from([
            (Split::Train, train),
            (Split::Val, split(280)),
            (Split::Test, split(spec.images as u64)),
        ]),
        images_per_second: 912.4,
        content: None,
    };
    let config = json!({"source": SOURCE, "size": 224, "filter": "bilinear", "labels": {}});
    write_manifest(&dir, names::INGEST, config, serde_json::to_value(summary).unwrap());
}

/// Writes a training run. The digest of its best weights is the one in the [`run_metrics`] of the same number.
pub(crate) fn write_training(dir: &Path, run: usize) {
    let best = Checkpoint::best(dir).weights();
    std::fs::create_dir_all(best.parent().unwrap()).unwrap();
    std::fs::write(&best, [run as u8]).unwrap();
    let mut best = 0.0;
    let lines: String = (1..=12)
        .map(|epoch| {
            let t = epoch as f64 + 0.2 * run as f64;
            let wobble = 0.018 * (t * 2.3 + run as f64).sin();
            let val_accuracy = 0.87 - 0.32 * (-0.45 * t).exp() + wobble;
            let is_best = val_accuracy > best;
            best = f64::max(best, val_accuracy);
            let line = Epoch {
                epoch,
                step: 47 * epoch as u64,
                learning_rate: 1e-4,
                train_loss: 0.62 * (-0.24 * t).exp() + 0.03,
                train_accuracy: 0.985 - 0.36 * (-0.38 * t).exp(),
                val_loss: 0.33 + 0.3 * (-0.7 * t).exp() + 0.008 * t - wobble,
                val_accuracy,
                val_roc_auc: Some(0.95 - 0.2 * (-0.6 * t).exp()),
                best: is_best,
                train_seconds: 75.0,
                val_seconds: 6.0,
                images_per_second: 20.1,
            };
            serde_json::to_string(&line).unwrap() + "\n"
        })
        .collect();
    std::fs::write(dir.join(names::HISTORY), lines).unwrap();
    let config =
        json!({"weights": "hf:timm/resnet50.tv_in1k", "epochs": 12, "batch": 32, "learning_rate": 1e-4, "seed": run});
    write_manifest(dir, names::TRAIN, config, json!({"best_epoch": 11}));
}

/// Returns predictions with logistically distributed logits, computed without random numbers.
pub(crate) fn predictions(spec: RunSpec, run: u32) -> Vec<Prediction> {
    let generators = ["stylegan2", "sd-1.5", HOSTILE_GENERATOR];
    (0..spec.images)
        .map(|i| {
            let label = if spec.fakes && i % 2 == 1 { Label::Fake } else { Label::Real };
            // Take quantiles of the logistic distribution in a low-discrepancy order.
            let quantile = (i as f64 * 0.618_033_988_749 + 0.17 * f64::from(run)).fract().clamp(1e-4, 1.0 - 1e-4);
            let spread = 1.25 * (quantile / (1.0 - quantile)).ln();
            let generator = if label == Label::Fake { generators[i / 2 % 3] } else { "" };
            let hard = if generator == HOSTILE_GENERATOR { 1.3 } else { 0.0 };
            let logit = if label == Label::Fake { 2.4 - hard + spread } else { -2.3 + spread };
            let p_fake = 1.0 / (1.0 + (-logit).exp());
            let name = if i == 1 { HOSTILE.to_owned() } else { format!("test/{label}/{i:05}.jpg") };
            Prediction {
                id: Hash::of(&(i as u64).to_le_bytes()),
                path: name,
                label,
                generator: generator.to_owned(),
                run,
                logit_real: 0.0,
                logit_fake: logit as f32,
                p_fake,
                p_fake_calibrated: None,
                predicted: if p_fake >= 0.5 { Label::Fake } else { Label::Real },
                branches: BTreeMap::new(),
                columns: BTreeMap::new(),
            }
        })
        .collect()
}

fn write_evaluation(run: &RunDir, spec: RunSpec) {
    let dir = run.evaluate();
    std::fs::create_dir_all(dir.join(names::EXPLANATIONS)).unwrap();
    let by_run: Vec<Vec<Prediction>> = (0..spec.runs as u32).map(|run| predictions(spec, run)).collect();
    predictions::write(&dir.join(names::PREDICTIONS), &by_run.concat()).unwrap();
    let runs: Vec<RunMetrics> = by_run.iter().enumerate().map(|(index, rows)| run_metrics(index, rows)).collect();
    let over_runs = runs[0].scores.named().map(|(name, _)| (name.to_owned(), moments(&runs, name)));
    let metrics = Metrics {
        seen: None,
        judged: None,
        schema_version: Metrics::SCHEMA_VERSION,
        dataset: SOURCE.to_owned(),
        simulated: spec.simulated,
        split: Split::Test,
        checkpoint: "best".to_owned(),
        headline: runs[0].scores.clone(),
        intervals: runs[0].intervals.clone(),
        bootstrap: Bootstrap { resamples: 2000, seed: 0, level: 0.95 },
        over_runs: over_runs.collect(),
        runs,
    };
    atomic::write_json(&dir.join(names::METRICS), &metrics).unwrap();
    write_other_evaluation(run, &metrics);
    if spec.fakes {
        atomic::write_json(&dir.join(Robustness::FILE), &robustness(&metrics.headline, &by_run[0])).unwrap();
    }
    write_explanations(&dir.join(names::EXPLANATIONS), &by_run[0]);
    write_manifest(&dir, names::EVALUATE, json!({"ckpt": "best", "split": "test", "resamples": 2000}), json!({}));
}

fn write_other_evaluation(run: &RunDir, metrics: &Metrics) {
    let dir = run.stage("evaluate-others");
    std::fs::create_dir_all(&dir).unwrap();
    atomic::write_json(&dir.join(names::METRICS), &Metrics { dataset: "folder:others".to_owned(), ..metrics.clone() })
        .unwrap();
    write_manifest(&dir, names::EVALUATE, json!({"data": "others"}), json!({}));
}

fn moments(runs: &[RunMetrics], name: &str) -> Moments {
    let value = |run: &RunMetrics| run.scores.named().find(|(key, _)| *key == name).and_then(|(_, value)| value);
    let values: Vec<f64> = runs.iter().filter_map(value).collect();
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    Moments { mean, std: (values.len() > 1).then(|| variance.sqrt()) }
}

/// Returns the confusion matrix at a threshold.
pub(crate) fn confusion(rows: &[Prediction], threshold: f64) -> Confusion {
    let mut counts = Confusion::default();
    for row in rows {
        *match (row.label, row.p_fake >= threshold) {
            (Label::Real, false) => &mut counts.true_negative,
            (Label::Real, true) => &mut counts.false_positive,
            (Label::Fake, false) => &mut counts.false_negative,
            (Label::Fake, true) => &mut counts.true_positive,
        } += 1;
    }
    counts
}

/// Returns the metrics of a run. Scores and curves on which tests depend are computed. The other values are constants.
fn run_metrics(run: usize, rows: &[Prediction]) -> RunMetrics {
    let mut thresholds: Vec<f64> = rows.iter().map(|row| row.p_fake).collect();
    thresholds.sort_by(|a, b| b.total_cmp(a));
    let start = CurvePoint { x: 0.0, y: 0.0, threshold: None };
    let mut roc = vec![start];
    let mut pr = Vec::new();
    for threshold in thresholds {
        let c = confusion(rows, threshold);
        let (reals, fakes) = ((c.true_negative + c.false_positive) as f64, (c.true_positive + c.false_negative) as f64);
        if reals > 0.0 && fakes > 0.0 {
            let (fp, tp) = (c.false_positive as f64, c.true_positive as f64);
            roc.push(CurvePoint { x: fp / reals, y: tp / fakes, threshold: Some(threshold) });
            pr.push(CurvePoint { x: tp / fakes, y: tp / (tp + fp), threshold: Some(threshold) });
        }
    }
    let area =
        (roc.len() > 1).then(|| roc.windows(2).map(|w| (w[1].x - w[0].x) * (w[1].y + w[0].y) / 2.0).sum::<f64>());
    if area.is_none() {
        roc.clear();
    }
    let risk_coverage = risk_coverage(rows);
    let mut scores = scores(&confusion(rows, 0.5), area);
    scores.risk_coverage_area = Some(risk_coverage.iter().map(|p| p.y).sum::<f64>() / risk_coverage.len() as f64);
    scores.coverage_at_5_wrong = risk_coverage.iter().rev().find(|point| point.y <= 0.05).map(|point| point.x);
    let band = (1..=100).map(|i| {
        let x = f64::from(i) / 100.0;
        let y = risk_coverage.iter().find(|point| point.x >= x).unwrap().y;
        json!({"x": x, "low": (y - 0.02).max(0.0), "high": y + 0.02})
    });
    let band: Vec<Value> = band.collect();
    let intervals = json!({
        "accuracy": around(scores.accuracy, 0.03), "roc_auc": around(area, 0.019), "pr_auc": around(scores.pr_auc, 0.022),
        "f1": around(scores.f1, 0.034), "recall": around(scores.recall, 0.045),
        "coverage_at_5_wrong": around(scores.coverage_at_5_wrong, 0.06),
    });
    let fitted = area.map(|_| {
        let mut fitted = serde_json::to_value(&scores).unwrap();
        let more = json!({
            "fitted_on": 280, "temperature": 1.31, "threshold": 0.462, "confusion": confusion(rows, 0.45),
            "expected_calibration_error": 0.019, "intervals": {}, "reliability": reliability(rows, 0.0),
            "inconclusive": {"low": 0.21, "high": 0.83, "share": 0.24, "false_accusations": 0.01, "misses": 0.04,
                "wrong": 0.033, "wrong_interval": {"low": 0.018, "high": 0.059}},
        });
        fitted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fitted
    });
    let mut all = serde_json::to_value(&scores).unwrap();
    let more = json!({
        "run": run, "weights": Hash::of(&[run as u8]), "intervals": without_null(intervals), "fitted": fitted, "roc": roc,
        "pr": pr, "risk_coverage": risk_coverage, "risk_coverage_band": band, "reliability": reliability(rows, 0.06), "generators": generators(rows, &scores), "sources": {"groups": [], "mean": {}, "worst": {}},
        "columns": {HOSTILE_COLUMN: generators(rows, &scores)},
    });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

/// Returns the risk-coverage curve. Its verdicts are ordered by the distance of P(fake) from 0.5.
fn risk_coverage(rows: &[Prediction]) -> Vec<CurvePoint> {
    let mut sorted: Vec<&Prediction> = rows.iter().collect();
    sorted.sort_by(|a, b| (b.p_fake - 0.5).abs().total_cmp(&(a.p_fake - 0.5).abs()));
    let mut wrong = 0.0;
    let points = sorted.iter().enumerate().map(|(i, row)| {
        wrong += f64::from(u8::from(row.predicted != row.label));
        let kept = (i + 1) as f64;
        CurvePoint { x: kept / rows.len() as f64, y: wrong / kept, threshold: Some(row.p_fake.max(1.0 - row.p_fake)) }
    });
    points.collect()
}

fn scores(c: &Confusion, roc_auc: Option<f64>) -> Scores {
    let of = |a: u64, b: u64| (b > 0).then(|| a as f64 / b as f64);
    let n = c.true_negative + c.false_positive + c.false_negative + c.true_positive;
    let real = of(c.true_negative, c.true_negative + c.false_positive);
    let fake = of(c.true_positive, c.true_positive + c.false_negative);
    let value = json!({
        "n": n, "threshold": 0.5, "confusion": c, "accuracy": of(c.true_negative + c.true_positive, n),
        "balanced_accuracy": real.zip(fake).map(|(a, b)| (a + b) / 2.0), "real_accuracy": real, "fake_accuracy": fake,
        "roc_auc": roc_auc, "pr_auc": roc_auc.map(|auc| auc + 0.004),
        "f1": of(2 * c.true_positive, 2 * c.true_positive + c.false_positive + c.false_negative),
        "precision": of(c.true_positive, c.true_positive + c.false_positive), "recall": fake,
        "equal_error_rate": roc_auc.map(|_| 0.118), "tpr_at_fpr_1": roc_auc.map(|_| 0.41),
        "tpr_at_fpr_5": roc_auc.map(|_| 0.72), "brier": 0.096, "log_loss": 0.312, "expected_calibration_error": 0.062,
    });
    serde_json::from_value(value).unwrap()
}

fn around(value: Option<f64>, half: f64) -> Value {
    value.map_or(Value::Null, |value| json!({"low": value - half, "high": (value + half).min(1.0)}))
}

fn without_null(mut value: Value) -> Value {
    value.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    value
}

fn reliability(rows: &[Prediction], off: f64) -> Value {
    let bins = (0..15).map(|bin| {
        let (lower, upper) = (f64::from(bin) / 15.0, f64::from(bin + 1) / 15.0);
        let inside: Vec<&Prediction> = rows.iter().filter(|row| row.p_fake > lower && row.p_fake <= upper).collect();
        let n = inside.len() as f64;
        let mean = inside.iter().map(|row| row.p_fake).sum::<f64>() / n;
        let share = inside.iter().filter(|row| row.label == Label::Fake).count() as f64 / n;
        let shift = off * (mean * std::f64::consts::TAU).sin();
        let defined = !inside.is_empty();
        json!({"lower": lower, "upper": upper, "count": inside.len(), "mean_p_fake": defined.then_some(mean),
            "share_fake": defined.then_some((share + shift).clamp(0.0, 1.0))})
    });
    Value::Array(bins.collect())
}

fn generators(rows: &[Prediction], scores: &Scores) -> Value {
    if scores.roc_auc.is_none() {
        return json!({"groups": [], "mean": {}, "worst": {}});
    }
    let group = |name: &str, roc_auc: f64| {
        let mut group = serde_json::to_value(scores).unwrap();
        let fakes = rows.iter().filter(|row| row.generator == name).count();
        let more = json!({"name": name, "reals": rows.len() / 2, "fakes": fakes, "roc_auc": roc_auc, "fitted_balanced_accuracy": 0.84,
            "fitted_verdicts": {
                "real": {"called_real": 150, "called_fake": 2, "inconclusive": 58},
                "fake": {"called_real": 9, "called_fake": 41, "inconclusive": 20},
                "inconclusive": 0.279, "wrong": 0.054, "wrong_interval": {"low": 0.031, "high": 0.095},
            },
            "intervals": {"roc_auc": {"low": roc_auc - 0.03, "high": (roc_auc + 0.02).min(1.0)}}});
        group.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        group
    };
    json!({
        "groups": [group("stylegan2", 0.968), group("sd-1.5", 0.951), group(HOSTILE_GENERATOR, 0.874)],
        "mean": {"roc_auc": 0.931, "real_accuracy": 0.86, "fake_accuracy": 0.85, "f1": 0.86},
        "worst": {"roc_auc": {"name": HOSTILE_GENERATOR, "value": 0.874}, "fake_accuracy": {"name": HOSTILE_GENERATOR, "value": 0.79}},
    })
}

fn robustness(scores: &Scores, rows: &[Prediction]) -> Robustness {
    let flips = rows.iter().filter(|row| (row.p_fake - 0.5).abs() < 0.1 || row.path == HOSTILE).map(|row| {
        let other = 1.0 - row.p_fake;
        json!({
            "id": row.id, "path": row.path, "label": row.label, "generator": row.generator, "p_fake": row.p_fake,
            "predicted": row.predicted, "flips": [
                {"operation": "jpeg", "level": 60.0, "p_fake": other}, {"operation": "jpeg", "level": 30.0, "p_fake": other},
                {"operation": "blur", "level": 2.0, "p_fake": other},
            ],
        })
    });

    let curve = |operation: &str, unit: &str, levels: &[f64], loss: f64| {
        let points = levels.iter().enumerate().map(|(i, level)| {
            let area = scores.roc_auc.unwrap() - loss * (i + 1) as f64 / levels.len() as f64;
            let mut point = serde_json::to_value(scores).unwrap();
            point["roc_auc"] = area.into();
            json!({
                "level": level, "scores": point, "intervals": {"roc_auc": around(Some(area), 0.025)}, "flips_to_fake": 3 * i,
                "flips_to_real": 5 * i, "flipped": 0.02 * i as f64, "flipped_interval": null,
            })
        });
        json!({"operation": operation, "unit": unit, "points": points.collect::<Vec<_>>()})
    };
    let value = json!({
        "schema_version": 1, "images": 400, "from_files": 380, "untouched": scores, "intervals": {},
        "curves": [
            curve("jpeg", "quality", &[95.0, 80.0, 60.0, 30.0], 0.12),
            curve("resize", "factor", &[2.0, 0.75, 0.5, 0.25], 0.2),
            curve("blur", "sigma in pixels", &[0.5, 1.0, 2.0, 3.0], 0.27),
            curve("social_media", "times shared", &[1.0, 2.0, 3.0], 0.16),
        ],
        "left_out": {"webp 95": "2 of 60 images could not be changed so: there is no <encoder>"}, "flips": flips.collect::<Vec<_>>(),
    });
    serde_json::from_value(value).unwrap()
}

fn write_explanations(dir: &Path, rows: &[Prediction]) {
    let mut examples = Vec::new();
    let mut take = |kind: ExampleKind, wanted: &dyn Fn(&Prediction) -> bool, certain: bool| {
        let mut found: Vec<&Prediction> = rows.iter().filter(|row| wanted(row)).collect();
        let doubt = |row: &Prediction| (row.p_fake - 0.5).abs();
        found.sort_by(|a, b| if certain { doubt(b).total_cmp(&doubt(a)) } else { doubt(a).total_cmp(&doubt(b)) });
        // The hostile name must be in the page, regardless of its score.
        found.sort_by_key(|row| row.path != HOSTILE);
        for row in found.into_iter().take(8) {
            examples.push(example(dir, kind, row, examples.len() as u32));
        }
    };
    take(ExampleKind::Correct, &|row| row.label == Label::Real && row.predicted == Label::Real, true);
    take(ExampleKind::Correct, &|row| row.label == Label::Fake && row.predicted == Label::Fake, true);
    take(ExampleKind::FalseNegative, &|row| row.label == Label::Fake && row.predicted == Label::Real, true);
    take(ExampleKind::FalsePositive, &|row| row.label == Label::Real && row.predicted == Label::Fake, true);
    take(ExampleKind::Uncertain, &|_| true, false);
    std::fs::write(dir.join("legend.png"), scenes::png(&scenes::legend())).unwrap();
    let index = Explanations {
        schema_version: Explanations::SCHEMA_VERSION,
        layer: "layer4".to_owned(),
        legend: Some("legend.png".to_owned()),
        sanity: Some(SanityCheck { maps: 8, mean_rank_correlation: Some(0.08), passed: Some(true) }),
        examples,
    };
    atomic::write_json(&dir.join(names::EXPLANATIONS_INDEX), &index).unwrap();
}

fn example(dir: &Path, kind: ExampleKind, row: &Prediction, index: u32) -> Example {
    let scene = scenes::scene(index, row.label == Label::Fake);
    let image = format!("{index:03}.png");
    std::fs::write(dir.join(&image), scenes::png(&scene)).unwrap();
    let heat_maps = [row.predicted, if row.predicted == Label::Real { Label::Fake } else { Label::Real }]
        .into_iter()
        .map(|class| {
            let overlay = format!("{index:03}-{class}.png");
            let heat = scenes::overlay(&scene, index + 40 * u32::from(class.index()));
            std::fs::write(dir.join(&overlay), scenes::png(&heat)).unwrap();
            HeatMap { branch: None, class, peak: 1.7, overlay }
        })
        .collect();
    Example {
        kind,
        id: row.id,
        path: row.path.clone(),
        label: row.label,
        generator: row.generator.clone(),
        predicted: row.predicted,
        p_fake: row.p_fake,
        image,
        heat_maps,
        spectrum: None,
    }
}
