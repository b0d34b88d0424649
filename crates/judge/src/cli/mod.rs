//! The command lines of the judge and of the list of a benchmark.

mod benchmark;
mod judge;

pub use benchmark::{BenchmarkArgs, benchmark};
pub use judge::{JudgeArgs, judge};
