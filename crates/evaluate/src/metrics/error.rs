//! Errors of computing metrics.

/// Why metrics of a list of predictions cannot be computed.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Labels and scores of different numbers of images.
    #[error("there are {labels} labels but {scores} scores; each image needs one of each")]
    Lengths {
        /// The number of labels.
        labels: usize,
        /// The number of scores.
        scores: usize,
    },
    /// A score is NaN or infinite.
    #[error("the score of row {row} is {score}, not a finite number; the checkpoint may have diverged")]
    NotFinite {
        /// The row, from 0.
        row: usize,
        /// Its score.
        score: f64,
    },
    /// A P(fake) outside 0 to 1.
    #[error("P(fake) of row {row} is {value}, outside 0 to 1")]
    NotProbability {
        /// The row, from 0.
        row: usize,
        /// Its value.
        value: f64,
    },
    /// More predictions than the ranking's integers can count.
    #[error("there are {rows} predictions, but at most {} can be ranked", i32::MAX)]
    TooMany {
        /// The number of predictions.
        rows: usize,
    },
}
