//! All figures of the report.

mod audit;
mod confusion;
mod curves;
mod distribution;
mod groups;
mod reliability;
mod risk_coverage;
mod robustness;
mod training;
mod verdicts_per_hundred;

use std::collections::BTreeMap;

use artifacts::schema::Groups;

use crate::figure::Figure;
use crate::histogram::Histogram;
use crate::judged;
use crate::run_results::RunResults;

/// The figures of a report. A figure is `None` if the run has no data for it.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) verdicts_per_hundred: Option<Figure>,
    pub(crate) distribution: Figure,
    /// `distribution` in a layout for narrow screens. It is not written to a file.
    pub(crate) distribution_narrow: Figure,
    pub(crate) confusion: Figure,
    pub(crate) roc: Option<Figure>,
    pub(crate) precision_recall: Option<Figure>,
    pub(crate) reliability: Option<Figure>,
    pub(crate) risk_coverage: Option<Figure>,
    pub(crate) generators: Option<Figure>,
    pub(crate) sources: Option<Figure>,
    /// One for each column that `ingest.report_columns` names.
    pub(crate) columns: Vec<Option<Figure>>,
    pub(crate) robustness: Option<Figure>,
    pub(crate) audit: Option<Figure>,
    pub(crate) loss: Option<Figure>,
    pub(crate) accuracy: Option<Figure>,
}

impl Figures {
    /// Draws the figures.
    pub(crate) fn draw(results: &RunResults) -> Figures {
        let metrics = &results.evaluation.metrics;
        let histories = results.training_histories();
        let first = metrics.runs.first();
        let histogram = Histogram::of(&results.evaluation.predictions);
        let threshold = metrics.headline.threshold;
        let mut figures = Figures {
            verdicts_per_hundred: verdicts_per_hundred::draw(&metrics.headline.confusion),
            distribution: distribution::draw_wide(&histogram, threshold),
            distribution_narrow: distribution::draw_narrow(&histogram, threshold),
            confusion: confusion::draw(&metrics.headline),
            roc: curves::draw_roc(&metrics.runs),
            precision_recall: curves::draw_precision_recall(&metrics.runs),
            reliability: first.and_then(reliability::draw),
            risk_coverage: risk_coverage::draw(&metrics.runs),
            generators: first.and_then(|run| groups::draw_generators(&run.generators)),
            sources: first.and_then(|run| groups::draw_sources(&run.sources)),
            columns: first.map(|run| draw_columns(&run.columns)).unwrap_or_default(),
            robustness: results.evaluation.robustness.as_ref().and_then(robustness::draw),
            audit: results.audit().and_then(|found| audit::draw(found, metrics.headline.roc_auc)),
            loss: training::draw_loss(&histories),
            accuracy: training::draw_accuracy(&histories),
        };
        if let Some(coverage) = judged::coverage_note(metrics) {
            figures.all_mut().for_each(|figure| figure.description.push_str(&format!(" {coverage}")));
        }
        figures
    }

    /// Returns the figures of the evaluated images.
    fn all_mut(&mut self) -> impl Iterator<Item = &mut Figure> {
        let optional = [
            &mut self.verdicts_per_hundred,
            &mut self.roc,
            &mut self.precision_recall,
            &mut self.reliability,
            &mut self.risk_coverage,
            &mut self.generators,
            &mut self.sources,
        ];
        let always = [&mut self.distribution, &mut self.distribution_narrow, &mut self.confusion];
        always.into_iter().chain(optional.into_iter().flatten()).chain(self.columns.iter_mut().flatten())
    }

    /// Returns the figures that are written to files.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Figure> {
        let optional = [
            &self.verdicts_per_hundred,
            &self.roc,
            &self.precision_recall,
            &self.reliability,
            &self.risk_coverage,
            &self.generators,
            &self.sources,
            &self.robustness,
            &self.audit,
            &self.loss,
            &self.accuracy,
        ];
        let always = [&self.distribution, &self.confusion];
        always.into_iter().chain(optional.into_iter().flatten()).chain(self.columns.iter().flatten())
    }
}

fn draw_columns(columns: &BTreeMap<String, Groups>) -> Vec<Option<Figure>> {
    let numbered = columns.iter().zip(1..);
    numbered.map(|((column, groups), number)| groups::draw_column(groups, number, column)).collect()
}
