//! The paired tests.

use artifacts::schema::{Bootstrap, Comparison, DeLong, Difference, Entrant, Interval, McNemar, Pair};

use super::{Error, Judged};
use crate::bootstrap::{View, paired_difference};
use crate::calibration::Scale;
use crate::judge::{Scored, scores};
use crate::metrics::Ranking;
use crate::significance::{delong, holm, mcnemar};

/// The version of `compare.json`.
const SCHEMA_VERSION: u32 = 1;
/// The threshold that all are compared at.
const HEADLINE: View = View { scale: Scale::AsJudged, threshold: 0.5 };

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
    let entrants = ranked.iter().map(entrant).collect::<Result<Vec<_>, Error>>()?;
    let mut pairs = Vec::new();
    for first in 0..ranked.len() {
        for second in first + 1..ranked.len() {
            pairs.push(pair(&ranked, first, second, bootstrap)?);
        }
    }
    correct(&mut pairs);
    let images = judged.first().map_or(0, |first| first.predictions.len() as u64);
    Ok(Comparison { schema_version: SCHEMA_VERSION, images, bootstrap, entrants, pairs })
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

fn entrant(ranked: &Ranked<'_>) -> Result<Entrant, Error> {
    let Ranked { judged, scored, ranking } = ranked;
    let at = |view: View| scores(scored, ranking, view).map_err(scores_error(judged));
    Ok(Entrant {
        name: judged.name.clone(),
        run: judged.run.run,
        dataset: judged.metrics.dataset.clone(),
        checkpoint: judged.metrics.checkpoint.clone(),
        weights: judged.run.weights,
        left_out: judged.left_out as u64,
        scores: at(HEADLINE)?,
        fitted: judged.fitted_view().map(at).transpose()?,
    })
}

fn pair(ranked: &[Ranked<'_>], first: usize, second: usize, bootstrap: Bootstrap) -> Result<Pair, Error> {
    let (a, b) = (&ranked[first], &ranked[second]);
    let fitted = a.judged.fitted_view().zip(b.judged.fitted_view());
    let differences =
        paired_difference((&a.ranking, HEADLINE), (&b.ranking, HEADLINE), bootstrap.resamples, bootstrap.seed);
    let areas = delong(&a.scored.labels, &a.scored.p_fake, &b.scored.p_fake).map_err(scores_error(a.judged))?;
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
        accuracy: accuracies(&a.scored, HEADLINE, &b.scored, HEADLINE),
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
        let called_fake = view.scale.p_fake(scored.p_fake[row]) >= view.threshold;
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
