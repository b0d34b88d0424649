//! Every detector's scores, and the paired tests.

use artifacts::schema::{Bootstrap, Comparison, DeLong, Difference, Disagreement, Entrant, Interval, McNemar, Pair};

use super::{Error, Judged};
use crate::bootstrap::{View, paired_difference};
use crate::judge::{Scored, roc, scores, with_intervals};
use crate::metrics::Ranking;
use crate::significance::{delong, holm, mcnemar};

/// The version of `compare.json`.
const SCHEMA_VERSION: u32 = 1;
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
    let mut disagreements = disagreements(judged);
    let disagreeing = disagreements.len() as u64;
    disagreements.truncate(MOST_DISAGREEMENTS);
    Ok(Comparison { schema_version: SCHEMA_VERSION, images, bootstrap, entrants, pairs, disagreeing, disagreements })
}

/// The images that not all call the same, those with the most distant scores first.
fn disagreements(judged: &[Judged]) -> Vec<Disagreement> {
    let Some(first) = judged.first() else { return Vec::new() };
    let mut found: Vec<Disagreement> = first
        .predictions
        .iter()
        .enumerate()
        .filter(|(row, image)| judged.iter().any(|other| other.predictions[*row].predicted != image.predicted))
        .map(|(row, image)| Disagreement {
            id: image.id,
            path: image.path.clone(),
            label: image.label,
            generator: image.generator.clone(),
            p_fake: judged.iter().map(|entrant| entrant.predictions[row].p_fake).collect(),
        })
        .collect();
    let spread = |image: &Disagreement| {
        let ends = image.p_fake.iter().fold((f64::MAX, f64::MIN), |(low, high), &p| (low.min(p), high.max(p)));
        ends.1 - ends.0
    };
    found.sort_by(|a, b| spread(b).total_cmp(&spread(a)).then_with(|| a.path.cmp(&b.path)));
    found
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
        differences: differences
            .into_iter()
            .map(|difference| Difference {
                score: difference.metric.to_owned(),
                value: difference.value,
                interval: difference.interval,
            })
            .collect(),
    })
}

fn accuracies(a: &Scored, view_a: View, b: &Scored, view_b: View) -> McNemar {
    let right = |scored: &Scored, view: View, row: usize| {
        let called_fake = view.scale.p_fake(scored.margins[row]) >= view.threshold;
        called_fake == (scored.labels[row].index() == 1)
    };
    let (mut only_first, mut only_second) = (0, 0);
    for row in 0..a.labels.len() {
        match (right(a, view_a, row), right(b, view_b, row)) {
            (true, false) => only_first += 1,
            (false, true) => only_second += 1,
            _ => {}
        }
    }
    let test = mcnemar(only_first, only_second);
    McNemar {
        only_first,
        only_second,
        p: test.exact_p,
        p_holm: test.exact_p,
        chi_square: test.chi_square,
        chi_square_p: test.chi_square_p,
    }
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
