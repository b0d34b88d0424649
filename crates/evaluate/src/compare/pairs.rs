//! Every detector's scores, and the paired tests.

use artifacts::Label;
use artifacts::predictions::Prediction;
use artifacts::schema::{Bootstrap, Comparison, DeLong, Disagreement, Entrant, Interval, McNemar, Pair};

use super::{Error, Judged};
use crate::bootstrap::{View, paired_difference};
use crate::judge::{Scored, roc, scores, with_intervals};
use crate::metrics::Ranking;
use crate::significance::{delong, holm, mcnemar};

/// Images that are listed of those on which the verdicts differ.
const MOST_DISAGREEMENTS: usize = 200;

/// One entrant's scores, sorted.
struct Ranked<'a> {
    judged: &'a Judged,
    scored: Scored,
    ranking: Ranking,
}

/// Compares every two entrants; their predictions must be aligned, see [`super::align`].
///
/// # Errors
/// Scores that cannot be measured.
pub fn compare(judged: &[Judged], bootstrap: Bootstrap) -> Result<Comparison, Error> {
    let ranked = judged.iter().map(rank).collect::<Result<Vec<_>, Error>>()?;
    let entrants = ranked.iter().map(|ranked| entrant(ranked, bootstrap)).collect::<Result<Vec<_>, Error>>()?;
    let mut pairs = Vec::new();
    for first in 0..ranked.len() {
        for second in first + 1..ranked.len() {
            pairs.push(pair(&ranked, first, second, bootstrap)?);
        }
    }
    correct(&mut pairs);
    let images = judged.first().map_or(0, |first| first.predictions.len() as u64);
    let predictions: Vec<&[Prediction]> = judged.iter().map(|entrant| entrant.predictions.as_slice()).collect();
    let mut disagreements = disagreements(&predictions);
    let disagreeing = disagreements.len() as u64;
    disagreements.truncate(MOST_DISAGREEMENTS);
    Ok(Comparison {
        schema_version: Comparison::SCHEMA_VERSION,
        images,
        bootstrap,
        entrants,
        pairs,
        disagreeing,
        disagreements,
    })
}

/// The images that not all call the same, those with the most distant scores first.
fn disagreements(judged: &[&[Prediction]]) -> Vec<Disagreement> {
    let Some(first) = judged.first() else { return Vec::new() };
    let of_row = |row: usize| judged.iter().map(move |predictions| &predictions[row]);
    let mut rows: Vec<usize> =
        (0..first.len()).filter(|&row| of_row(row).any(|other| other.predicted != first[row].predicted)).collect();
    // P(fake) of many is 0 or 1 to the last digit; of these the margins tell which are the farthest apart.
    let distance = |row: usize| {
        let of = |score: fn(&Prediction) -> f64| spread(of_row(row).map(score));
        (of(|prediction| prediction.p_fake), of(Prediction::margin))
    };
    rows.sort_by(|&a, &b| {
        let (near, far) = (distance(a), distance(b));
        let by_path = || first[a].path.cmp(&first[b].path);
        far.0.total_cmp(&near.0).then(far.1.total_cmp(&near.1)).then_with(by_path)
    });
    rows.into_iter()
        .map(|row| {
            let Prediction { id, path, label, generator, .. } = first[row].clone();
            Disagreement {
                id,
                path,
                label,
                generator,
                p_fake: of_row(row).map(|prediction| prediction.p_fake).collect(),
            }
        })
        .collect()
}

/// From the lowest value to the highest.
fn spread(values: impl Iterator<Item = f64>) -> f64 {
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    high - low
}

fn scores_error(judged: &Judged) -> impl FnOnce(crate::metrics::Error) -> Error {
    let name = judged.name.clone();
    move |source| Error::Scores { name, source }
}

fn rank(judged: &Judged) -> Result<Ranked<'_>, Error> {
    let scored = Scored::of(&judged.predictions);
    let ranking = scored.ranking().map_err(scores_error(judged))?;
    Ok(Ranked { judged, scored, ranking })
}

fn entrant(ranked: &Ranked<'_>, bootstrap: Bootstrap) -> Result<Entrant, Error> {
    let Ranked { judged, scored, ranking } = ranked;
    let (headline, intervals) =
        with_intervals(scored, ranking, bootstrap.resamples, bootstrap.seed).map_err(scores_error(judged))?;
    let at = |view: View| scores(scored, ranking, view).map_err(scores_error(judged));
    Ok(Entrant {
        name: judged.name.clone(),
        run: judged.run.run,
        dataset: judged.metrics.dataset.clone(),
        checkpoint: judged.metrics.checkpoint.clone(),
        weights: judged.run.weights,
        left_out: judged.left_out as u64,
        simulated: judged.metrics.simulated,
        seen: judged.metrics.seen,
        scores: headline,
        intervals,
        roc: roc(ranking),
        fitted: judged.fitted_view().map(at).transpose()?,
    })
}

fn pair(ranked: &[Ranked<'_>], first: usize, second: usize, bootstrap: Bootstrap) -> Result<Pair, Error> {
    let (a, b) = (&ranked[first], &ranked[second]);
    let fitted = a.judged.fitted_view().zip(b.judged.fitted_view());
    let differences = paired_difference(
        (&a.ranking, View::HEADLINE),
        (&b.ranking, View::HEADLINE),
        bootstrap.resamples,
        bootstrap.seed,
    );
    let areas = delong(&a.scored.labels, &a.scored.margins, &b.scored.margins).map_err(scores_error(a.judged))?;
    Ok(Pair {
        first,
        second,
        roc_auc: areas.map(|test| DeLong {
            difference: test.difference,
            interval: Interval { low: test.interval[0], high: test.interval[1] },
            z: test.z,
            p: test.p,
            p_holm: test.p,
        }),
        accuracy: accuracies(&a.scored, View::HEADLINE, &b.scored, View::HEADLINE),
        fitted_accuracy: fitted.map(|(view_a, view_b)| accuracies(&a.scored, view_a, &b.scored, view_b)),
        differences,
    })
}

fn accuracies(a: &Scored, view_a: View, b: &Scored, view_b: View) -> McNemar {
    let right = |scored: &Scored, view: View, row: usize| {
        let called_fake = view.scale.p_fake(scored.margins[row]) >= view.threshold;
        called_fake == (scored.labels[row] == Label::Fake)
    };
    let (mut only_first, mut only_second) = (0, 0);
    for row in 0..a.labels.len() {
        match (right(a, view_a, row), right(b, view_b, row)) {
            (true, false) => only_first += 1,
            (false, true) => only_second += 1,
            _ => {}
        }
    }
    mcnemar(only_first, only_second)
}

/// Holm's correction within each family of tests.
fn correct(pairs: &mut [Pair]) {
    let adjusted = holm(&pairs.iter().map(|pair| pair.accuracy.p).collect::<Vec<_>>());
    pairs.iter_mut().zip(adjusted).for_each(|(pair, p)| pair.accuracy.p_holm = p);
    let areas: Vec<&mut DeLong> = pairs.iter_mut().filter_map(|pair| pair.roc_auc.as_mut()).collect();
    let adjusted = holm(&areas.iter().filter_map(|test| test.p).collect::<Vec<_>>());
    areas.into_iter().filter(|test| test.p.is_some()).zip(adjusted).for_each(|(test, p)| test.p_holm = Some(p));
    let fitted: Vec<&mut McNemar> = pairs.iter_mut().filter_map(|pair| pair.fitted_accuracy.as_mut()).collect();
    let adjusted = holm(&fitted.iter().map(|test| test.p).collect::<Vec<_>>());
    fitted.into_iter().zip(adjusted).for_each(|(test, p)| test.p_holm = p);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::prediction;

    #[test]
    fn of_scores_that_are_as_far_apart_to_the_last_digit_the_margins_decide() {
        let judged = |margins: [f32; 4]| -> Vec<Prediction> {
            let images = ["a", "b", "c", "d"].into_iter().zip(margins);
            images.map(|(path, margin)| prediction(path, Label::Fake, "", margin)).collect()
        };
        let (first, second) = (judged([-1.0, -800.0, -900.0, 800.0]), judged([90.0, 800.0, 900.0, 90.0]));
        let found = disagreements(&[&first, &second]);
        let paths: Vec<&str> = found.iter().map(|image| image.path.as_str()).collect();
        assert_eq!(paths, ["c", "b", "a"]);
        assert_eq!(found[0].p_fake, found[1].p_fake);
    }
}
