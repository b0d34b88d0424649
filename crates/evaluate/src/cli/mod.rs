//! The command lines of the stage, and of the comparison of runs.

mod compare;
mod evaluate;

pub use compare::{CompareArgs, compare};
pub use evaluate::{EvaluateArgs, evaluate};
