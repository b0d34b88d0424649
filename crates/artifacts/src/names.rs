//! Names of artifacts, each in this one place.

/// The folder of all runs, in the folder that a program is started in.
pub const RUNS: &str = "runs";
/// The resolved configuration of a run.
pub const RUN_TOML: &str = "run.toml";
/// What a stage made, of what, and how.
pub const MANIFEST: &str = "manifest.json";
/// The data stage: its folder, its section in a pipeline file.
pub const INGEST: &str = "ingest";
/// The training stage.
pub const TRAIN: &str = "train";
/// The judging stage.
pub const EVALUATE: &str = "evaluate";
/// The reporting stage.
pub const REPORT: &str = "report";
/// All stages, in the order they run.
pub const STAGES: [&str; 4] = [INGEST, TRAIN, EVALUATE, REPORT];

/// The folder of a run with the other data that its model was judged on, each ingested there.
pub const OTHER_DATA: &str = "data";
/// The page within the folder of a report.
pub const PAGE: &str = "index.html";
/// Files that ingest could not use: one JSON object a line, see [`crate::schema::Rejected`].
pub const REJECTED: &str = "rejected.jsonl";
/// The audit of the data.
pub const AUDIT: &str = "audit.json";
/// Training history: one JSON object an epoch, see [`crate::schema::Epoch`].
pub const HISTORY: &str = "metrics.jsonl";
/// Weights of a checkpoint, under torchvision's names.
pub const WEIGHTS: &str = "model.safetensors";
/// Architecture and labels of a checkpoint.
pub const MODEL_CONFIG: &str = "config.json";
/// Input size and normalisation of a checkpoint.
pub const PREPROCESSOR_CONFIG: &str = "preprocessor_config.json";
/// Optimiser moments and counters of a checkpoint.
pub const TRAINING_STATE: &str = "training_state.safetensors";
/// Scores of every judged sample.
pub const PREDICTIONS: &str = "predictions.parquet";
/// What the scores are worth.
pub const METRICS: &str = "metrics.json";
/// The folder of examples and heat maps.
pub const EXPLANATIONS: &str = "explanations";
/// The list of what is in [`EXPLANATIONS`], see [`crate::schema::Explanations`].
pub const EXPLANATIONS_INDEX: &str = "index.json";
