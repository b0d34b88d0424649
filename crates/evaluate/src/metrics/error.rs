//! Predictions that cannot be scored.

/// What is wrong with the predictions handed in.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Labels and scores do not belong together.
    #[error("there are {labels} labels but {scores} scores; each image needs one of both")]
    Lengths {
        /// How many labels came.
        labels: usize,
        /// How many scores came.
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
    /// A value that should be a probability is not.
    #[error("P(fake) of row {row} is {value}, outside 0 to 1")]
    NotProbability {
        /// The row, from 0.
        row: usize,
        /// Its value.
        value: f64,
    },
    /// More rows than positions are numbered for.
    #[error("{rows} predictions are more than the {} that can be ranked", i32::MAX)]
    TooMany {
        /// How many rows came.
        rows: usize,
    },
}
