//! `benchmark.json`: what a copy of a benchmark lacks, and the results that were published on the benchmark.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Content of `benchmark.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkCopy {
    /// Version of this schema.
    pub schema_version: u32,
    /// Name of the benchmark.
    pub name: String,
    /// The paper that introduced it.
    pub paper: String,
    /// Key of the metric that the paper reports.
    pub metric: String,
    /// What to know before comparing with published results, in sentences.
    pub caveats: Vec<String>,
    /// What this copy lacks, in sentences without a full stop.
    pub lacking: Vec<String>,
    /// The published results on this benchmark.
    pub published: Vec<PublishedTable>,
}

impl BenchmarkCopy {
    /// The version that this build writes. Readers reject newer versions.
    pub const SCHEMA_VERSION: u32 = 1;
    /// Name of the file.
    pub const FILE: &str = "benchmark.json";
    /// Folder of the page, relative to its own.
    pub const REPORT: &str = "benchmark";
}

/// Results from one place, such as a table of a paper: a file in `benchmarks/published/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedTable {
    /// Version of the file's format: 1.
    pub schema_version: u32,
    /// Title of the paper.
    pub title: String,
    /// Where the results are: the file, its version and the table.
    pub source: String,
    /// When they were published, as year-month-day.
    #[serde(default)]
    pub date: Option<String>,
    /// What to know about all of them, in sentences.
    #[serde(default)]
    pub caveats: Vec<String>,
    /// The results.
    pub results: Vec<PublishedResult>,
}

impl PublishedTable {
    /// The version of the format that this build reads.
    pub const SCHEMA_VERSION: u32 = 1;
}

/// The published result of a detector on a benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedResult {
    /// The benchmark: the name of its file in `benchmarks/`.
    pub benchmark: String,
    /// Name of the detector.
    pub method: String,
    /// Its network.
    #[serde(default)]
    pub backbone: Option<String>,
    /// The images that it was trained on.
    #[serde(default)]
    pub training: Option<String>,
    /// Key of the metric in `metrics.json`.
    pub metric: String,
    /// Mean over the generators, from 0 to 1.
    pub mean: f64,
    /// What to know about this result, in sentences.
    #[serde(default)]
    pub caveats: Vec<String>,
    /// Results of single generators, from 0 to 1.
    #[serde(default)]
    pub generators: BTreeMap<String, f64>,
}
