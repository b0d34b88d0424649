//! Names of files and folders in a run.

/// The folder of all runs, relative to the working directory.
pub const RUNS: &str = "runs";
/// The resolved configuration of a run.
pub const RUN_TOML: &str = "run.toml";
/// The record of how an artifact was made, see [`crate::Manifest`].
pub const MANIFEST: &str = "manifest.json";
/// The ingest stage. The names of stages are used for their folders and for their sections in a pipeline file.
pub const INGEST: &str = "ingest";
/// The training stage.
pub const TRAIN: &str = "train";
/// The evaluation stage.
pub const EVALUATE: &str = "evaluate";
/// The reporting stage.
pub const REPORT: &str = "report";
/// All stages in the order they run.
pub const STAGES: [&str; 4] = [INGEST, TRAIN, EVALUATE, REPORT];

/// The folder, inside a run, of other data sets that its model is evaluated on. Each data set has its own run folder
/// there.
pub const OTHER_DATA: &str = "data";
/// The page of a report.
pub const PAGE: &str = "index.html";
/// The list of files that ingest could not use: JSON Lines of [`crate::schema::Rejected`].
pub const REJECTED: &str = "rejected.jsonl";
/// The audit of the data.
pub const AUDIT: &str = "audit.json";
/// The training history: JSON Lines of [`crate::schema::Epoch`].
pub const HISTORY: &str = "metrics.jsonl";
/// Weights of a checkpoint, under torchvision's names.
pub const WEIGHTS: &str = "model.safetensors";
/// Architecture and labels of a checkpoint.
pub const MODEL_CONFIG: &str = "config.json";
/// Input size and normalisation of a checkpoint.
pub const PREPROCESSOR_CONFIG: &str = "preprocessor_config.json";
/// Optimiser moments and counters of a checkpoint.
pub const TRAINING_STATE: &str = "training_state.safetensors";
/// Scores of every evaluated sample.
pub const PREDICTIONS: &str = "predictions.parquet";
/// Metrics of an evaluation, see [`crate::schema::Metrics`].
pub const METRICS: &str = "metrics.json";
/// The folder of examples and heat maps.
pub const EXPLANATIONS: &str = "explanations";
/// The index of [`EXPLANATIONS`], see [`crate::schema::Explanations`].
pub const EXPLANATIONS_INDEX: &str = "index.json";
