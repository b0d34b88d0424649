//! The evaluation of one detector: predictions and metrics.

use std::collections::BTreeMap;

use artifacts::predictions::Prediction;
use artifacts::schema::{Bootstrap, Groups, Interval, Judged, Metric, Metrics, RunMetrics, ScoreKind, Scores};
use artifacts::statistics::sigmoid;
use artifacts::{Label, Split};
use evaluate::bootstrap::Resampling;
use evaluate::measure::{RunOptions, ScoredImages, ValidationFit, measure_groups, measure_run, over_runs};
use evaluate::metrics::RankMetrics;
use evaluate::significance::delong_interval;

use crate::images::Images;
use crate::input::Row;
use crate::join::{Joined, JoinedImage, join};
use crate::matching::ImageIndex;
use crate::scale::{DetectorScores, Scale, fault};
use crate::{Config, Error};

/// Separates the generators that a real image is compared with.
pub(crate) const GENERATORS_SEPARATOR: &str = ";";
/// Nominal coverage of all intervals.
const LEVEL: f64 = 0.95;

/// A judged detector.
#[derive(Debug)]
pub struct Evaluation {
    /// Content of `metrics.json`.
    pub metrics: Metrics,
    /// Content of `predictions.parquet`.
    pub predictions: Vec<Prediction>,
    /// Index of the image of each prediction of the first training run.
    pub(crate) images: Vec<usize>,
}

/// Evaluates the detector `config.model` from its rows. `files` are the names of their files.
pub(crate) fn evaluate(
    rows: &[&Row],
    files: Vec<String>,
    images: &Images,
    index: &ImageIndex<'_>,
    config: &Config,
) -> Result<Evaluation, Error> {
    let model = config.model.as_str();
    let joined = join(model, rows, images, index, config)?;
    check_coverage(model, rows, images, &joined, config)?;
    let validation: Vec<(Label, f64)> =
        joined.validation.iter().map(|image| (image.label, image.rows[0].score)).collect();
    let scale = Scale::find(&DetectorScores { model, rows, validation: &validation }, config)?;
    let mut judged = judged(rows, files, images, &joined, &scale, config);
    let resampling = Resampling { resamples: config.resamples, seed: config.seed };
    let metrics_error = |source| Error::Metrics { model: model.to_owned(), source };
    let (mut predictions, mut runs) = (Vec::new(), Vec::new());
    for (position, &run) in joined.runs.iter().enumerate() {
        let validation = scored(&joined.validation, position, &scale);
        // The margins of verdicts have no scale that a temperature could change.
        let fit = match scale.kind {
            ScoreKind::Verdicts => None,
            _ => ValidationFit::new(&validation, config.band).map_err(metrics_error)?,
        };
        let of_run: Vec<Prediction> = joined
            .evaluated
            .iter()
            .map(|joined| prediction(joined, position, run, images, &scale, fit.as_ref(), config.own_reals))
            .collect();
        let options = RunOptions { run: run as usize, resampling };
        let mut metrics = measure_run(&of_run, fit.as_ref(), options).map_err(metrics_error)?;
        if config.own_reals {
            metrics.generators = generators_with_own_reals(&of_run, &joined, fit.as_ref()).map_err(metrics_error)?;
        }
        withhold(&mut metrics, &judged);
        if position == 0 {
            judged.probably_reversed = is_probably_reversed(&ScoredImages::of(&of_run)).map_err(metrics_error)?;
        }
        predictions.extend(of_run);
        runs.push(metrics);
    }
    let first = runs.first().ok_or_else(|| fault(model, "it has no rows".to_owned()))?;
    let metrics = Metrics {
        schema_version: Metrics::SCHEMA_VERSION,
        dataset: images.dataset.clone(),
        simulated: images.simulated,
        split: config.split,
        checkpoint: format!("predictions of {model}"),
        seen: None,
        headline: first.scores.clone(),
        intervals: first.intervals.clone(),
        bootstrap: Bootstrap { resamples: config.resamples, seed: config.seed, level: LEVEL },
        over_runs: over_runs(&runs),
        judged: Some(Box::new(judged)),
        runs,
    };
    let images = joined.evaluated.iter().map(|joined| joined.image).collect();
    Ok(Evaluation { metrics, predictions, images })
}

/// Refuses predictions that leave out too many images, or that are about too many other images.
fn check_coverage(
    model: &str,
    rows: &[&Row],
    images: &Images,
    joined: &Joined<'_>,
    config: &Config,
) -> Result<(), Error> {
    let example = images.images.first().map_or("", |image| image.path.as_str());
    let first = |omitted: &artifacts::schema::Omitted| omitted.first.first().cloned().unwrap_or_default();
    let allow = |share: f64| format!("allow this with --max-missing {share:.3}, which the report then shows");
    let unmatched = joined.without_image.count as f64 / rows.len().max(1) as f64;
    if unmatched > config.max_missing {
        return Err(fault(
            model,
            format!(
                "{} of {} rows match no image; the first is `{}`, and the first image is `{example}`; if only the start \
                 of the paths differs, say --replace-prefix OLD=NEW; otherwise {}",
                joined.without_image.count,
                rows.len(),
                first(&joined.without_image),
                allow(round_up(unmatched))
            ),
        ));
    }
    if joined.images == 0 {
        let advice = match (joined.unlabelled.count, &config.data) {
            (0, _) => format!("there are no images of the {} split; name another one with --split", config.split),
            (count, None) => {
                format!("{count} images have no label; add a column `label`, or name the images with --data")
            }
            (count, Some(_)) => format!("{count} images have no label in the file or the source; add a column `label`"),
        };
        return Err(fault(model, advice));
    }
    let missing = joined.without_prediction.count as f64 / joined.images as f64;
    if missing > config.max_missing || joined.evaluated.is_empty() {
        return Err(fault(
            model,
            format!(
                "{} of {} images of the {} split have no prediction ({} rows have no finite score); the first is `{}`; {}",
                joined.without_prediction.count,
                joined.images,
                config.split,
                joined.not_finite.count,
                first(&joined.without_prediction),
                allow(round_up(missing))
            ),
        ));
    }
    // Without a source, an image without a label is a row that was forgotten.
    if config.data.is_none() && joined.unlabelled.count > 0 {
        return Err(fault(
            model,
            format!(
                "{} rows have no label, such as `{}`; add it in a column `label`, or name the images with --data",
                joined.unlabelled.count,
                first(&joined.unlabelled)
            ),
        ));
    }
    Ok(())
}

/// A share rounded up to the thousandth.
fn round_up(share: f64) -> f64 {
    (share * 1000.0).ceil() / 1000.0
}

fn judged(
    rows: &[&Row],
    files: Vec<String>,
    images: &Images,
    joined: &Joined<'_>,
    scale: &Scale,
    config: &Config,
) -> Judged {
    let is_probability = scale.kind == ScoreKind::Probabilities;
    let is_saturated = |row: &&&Row| is_probability && (row.score == 0.0 || row.score == 1.0);
    Judged {
        model: config.model.clone(),
        files,
        scores: scale.kind,
        higher_is: config.higher_is,
        threshold: (scale.kind != ScoreKind::Verdicts).then_some(scale.threshold),
        threshold_from: scale.threshold_from,
        labels_from: joined.labels_from.unwrap_or(artifacts::schema::LabelSource::File),
        ids_from_content: images.from_content,
        images: joined.images,
        validation: if config.split == Split::Val { 0 } else { joined.validation.len() as u64 },
        rows: rows.len() as u64,
        without_prediction: joined.without_prediction.clone(),
        without_image: joined.without_image.clone(),
        not_finite: joined.not_finite.clone(),
        other_splits: joined.other_splits.clone(),
        repeated: joined.repeated.clone(),
        identical: images.identical.clone(),
        unlabelled: joined.unlabelled.clone(),
        saturated: rows.iter().filter(is_saturated).count() as u64,
        probably_reversed: false,
    }
}

/// Labels and margins of images, with the rows of one training run.
fn scored(images: &[JoinedImage<'_>], run: usize, scale: &Scale) -> ScoredImages {
    let (labels, margins) = images.iter().map(|image| (image.label, scale.margin_of(image.rows[run]))).unzip();
    ScoredImages { labels, margins }
}

fn prediction(
    joined: &JoinedImage<'_>,
    position: usize,
    run: u32,
    images: &Images,
    scale: &Scale,
    fit: Option<&ValidationFit>,
    own_reals: bool,
) -> Prediction {
    let image = &images.images[joined.image];
    let (logit_real, logit_fake) = split_margin(scale.margin_of(joined.rows[position]));
    let mut prediction = Prediction {
        id: image.id,
        path: image.path.clone(),
        label: joined.label,
        // The generators that a real image is compared with have not made it.
        generator: match joined.label {
            Label::Real if own_reals => String::new(),
            _ => joined.generator.clone(),
        },
        run,
        logit_real,
        logit_fake,
        p_fake: 0.0,
        p_fake_calibrated: None,
        predicted: Label::Real,
        branches: BTreeMap::new(),
        columns: joined.rows[position].report_cells.clone(),
    };
    let margin = prediction.margin();
    prediction.p_fake = sigmoid(margin);
    prediction.p_fake_calibrated = fit.map(|fit| fit.temperature.calibrate(margin));
    prediction.predicted = if prediction.p_fake >= 0.5 { Label::Fake } else { Label::Real };
    prediction
}

/// Compares the fakes of each generator with the real images that name it, and with those that name none.
fn generators_with_own_reals(
    predictions: &[Prediction],
    joined: &Joined<'_>,
    fit: Option<&ValidationFit>,
) -> Result<Groups, evaluate::metrics::Error> {
    let mut members: BTreeMap<&str, Vec<&Prediction>> = BTreeMap::new();
    let pairs = || predictions.iter().zip(&joined.evaluated);
    for (prediction, image) in pairs().filter(|(prediction, _)| prediction.label == Label::Fake) {
        members.entry(image.generator.as_str()).or_default().push(prediction);
    }
    for (prediction, image) in pairs().filter(|(prediction, _)| prediction.label == Label::Real) {
        let names: Vec<&str> = image.generator.split(GENERATORS_SEPARATOR).filter(|name| !name.is_empty()).collect();
        for (name, members) in &mut members {
            if names.is_empty() || names.contains(name) {
                members.push(prediction);
            }
        }
    }
    let name = |name: &str| if name.is_empty() { "unnamed".to_owned() } else { name.to_owned() };
    measure_groups(members.into_iter().map(|(generator, members)| (name(generator), members)), fit)
}

/// Writes a margin as the difference of two logits. A table of predictions holds logits in single precision; the second
/// one takes what the first loses, so that the margin keeps 48 bits.
fn split_margin(margin: f64) -> (f32, f32) {
    let margin = margin.clamp(-f64::from(f32::MAX), f64::from(f32::MAX));
    let logit_fake = margin as f32;
    let logit_real = (f64::from(logit_fake) - margin) as f32;
    // A margin too small for single precision keeps its sign, which is the verdict.
    if margin < 0.0 && f64::from(logit_fake) - f64::from(logit_real) == 0.0 {
        return (0.0, -f32::MIN_POSITIVE);
    }
    (logit_real, logit_fake)
}

/// Whether ROC-AUC is below 0.4 and not by chance: a detector that guesses has an interval around 0.5.
fn is_probably_reversed(images: &ScoredImages) -> Result<bool, evaluate::metrics::Error> {
    const MAX_ROC_AUC: f64 = 0.4;
    const MIN_IMAGES: usize = 10;
    let roc_auc = RankMetrics::of(&images.ranking()?).roc_auc;
    let is_low = roc_auc.is_some_and(|area| area < MAX_ROC_AUC) && images.labels.len() >= MIN_IMAGES;
    // An area of 0 has no interval.
    let interval = delong_interval(&images.labels, &images.margins)?;
    Ok(is_low && interval.is_none_or(|interval| interval.high < 0.5))
}

/// Removes the metrics of the headline that have no meaning for the scores of a judged detector.
fn withhold(run: &mut RunMetrics, judged: &Judged) {
    let is_undefined = |metric: &Metric| judged.why_undefined(metric).is_some();
    let clean = |scores: &mut Scores, intervals: &mut BTreeMap<String, Interval>| {
        *scores = scores.without(is_undefined);
        intervals.retain(|key, _| Metric::by_key(key).is_some_and(|metric| !is_undefined(metric)));
    };
    clean(&mut run.scores, &mut run.intervals);
    for groups in [&mut run.generators, &mut run.sources] {
        for group in &mut groups.groups {
            clean(&mut group.scores, &mut group.intervals);
        }
        let is_kept = |key: &String| Metric::by_key(key).is_some_and(|metric| !is_undefined(metric));
        groups.mean.retain(|key, _| is_kept(key));
        groups.worst.retain(|key, _| is_kept(key));
    }
    let lacks = |key: &str| Metric::by_key(key).is_some_and(is_undefined);
    if lacks("roc_auc") {
        run.roc.clear();
        run.pr.clear();
        run.risk_coverage.clear();
        run.risk_coverage_band.clear();
    }
    if lacks("brier") {
        run.reliability.clear();
        run.calibration_error_by_chance = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_logits_keep_the_margin() {
        for margin in [0.0, 1.0 / 3.0, -2.718_281_9, 36.736_8, -744.44, 1e-30, 12_345.678_9] {
            let (real, fake) = split_margin(margin);
            let kept = f64::from(fake) - f64::from(real);
            assert!((kept - margin).abs() <= 1e-14 * margin.abs().max(1e-30), "{margin}: {kept}");
        }
        let (real, fake) = split_margin(-1e-60);
        assert!(f64::from(fake) - f64::from(real) < 0.0);
    }

    #[test]
    fn reversed_scores_are_told_from_chance() {
        let labels: Vec<Label> = (0..200).map(|i| Label::ALL[i % 2]).collect();
        let margin =
            |i: usize, shift: f64| ((i * 7919) % 101) as f64 / 50.0 - 1.0 + shift * f64::from(labels[i].index());
        let reversed = |shift: f64| {
            let margins: Vec<f64> = (0..200).map(|i| margin(i, shift)).collect();
            is_probably_reversed(&ScoredImages { labels: labels.clone(), margins }).unwrap()
        };
        assert!(reversed(-1.0) && reversed(-9.0));
        assert!(!reversed(0.0) && !reversed(1.0) && !reversed(-0.05));
    }
}
