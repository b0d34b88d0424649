//! Types of the JSON artifacts that one stage writes and another reads.

mod audit;
mod benchmark;
mod checkpoint;
mod comparison;
mod confusion;
mod explanations;
mod history;
mod ingest;
mod judged;
mod metric;
mod metrics;
mod robustness;
mod scores;

pub use audit::{
    Association, AssociationBin, Audit, ExactDuplicates, NearDuplicate, NearDuplicates, Probe, ProbeShare, Probes,
    Shortcut, Verdict,
};
pub use benchmark::{BenchmarkCopy, PublishedResult, PublishedTable};
pub use checkpoint::{ImageSize, MINIMUM_SIDE, ModelConfig, PreprocessorConfig, Reencode, ReencodeFormat};
pub use comparison::{ComparedDetector, Comparison, DeLong, Difference, Disagreement, McNemar, Pair};
pub use confusion::{Confusion, Proportion};
pub use explanations::{Example, ExampleKind, Explanations, HeatMap, SanityCheck, Spectrum, SpectrumPeak};
pub use history::{Epoch, TrainingRate};
pub use ingest::{IngestSummary, Rejected, SplitSummary};
pub use judged::{Judged, LabelSource, Omitted, ScoreKind, ThresholdSource};
pub use metric::{Basis, Direction, Display, GroupInterval, IntervalMethod, Metric, Needs};
pub use metrics::{
    AblationRow, BandPoint, BandVerdicts, Bootstrap, CalibratedScores, CurvePoint, Group, Groups, Inconclusive,
    Interval, Metrics, Moments, ReliabilityBin, RunMetrics, ScoreRange, Seen, VerdictCounts, Worst,
};
pub use robustness::{Flip, FlippingImage, Robustness, RobustnessCurve, RobustnessPoint};
pub use scores::{METRICS, Scores};
