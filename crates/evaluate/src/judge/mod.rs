//! From scored images to everything that `metrics.json` says of them.

mod fitted;
mod groups;
mod run;
mod scores;
mod width;

pub use fitted::Fit;
pub use groups::{generators, sources};
pub(crate) use run::roc;
pub use run::{RunPlan, judge_run, over_runs};
pub(crate) use scores::with_intervals;
pub use scores::{bins, scores};

use artifacts::Label;
use artifacts::predictions::Prediction;

use crate::metrics::{Error, Ranking};

/// Labels and P(fake) of a set of images, in the order of their rows.
#[derive(Clone, Debug, Default)]
pub struct Scored {
    /// The classes.
    pub labels: Vec<Label>,
    /// P(fake) as the network gave it.
    pub p_fake: Vec<f64>,
}

impl Scored {
    /// Of some predictions.
    pub fn of<'a>(predictions: impl IntoIterator<Item = &'a Prediction>) -> Scored {
        let (labels, p_fake) = predictions.into_iter().map(|prediction| (prediction.label, prediction.p_fake)).unzip();
        Scored { labels, p_fake }
    }

    /// The images by falling P(fake).
    ///
    /// # Errors
    /// A P(fake) that is not finite.
    pub fn ranking(&self) -> Result<Ranking, Error> {
        Ranking::new(&self.labels, &self.p_fake)
    }
}
