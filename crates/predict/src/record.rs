//! The record of a verdict, with which a second person can repeat it.

use std::collections::BTreeMap;
use std::path::Path;

use artifacts::hash::Hash;
use artifacts::schema::PreprocessorConfig;
use artifacts::{atomic, failure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::check::{Check, CheckOptions};
use crate::error::Error;
use crate::judge::Judge;
use crate::machine::Machine;

/// The record of a verdict on one picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this schema.
    pub schema_version: u32,
    /// The version of Candling.
    pub candling: String,
    /// When the record was made, in seconds since 1970.
    pub unix_seconds: u64,
    /// Where it was computed.
    pub machine: Machine,
    /// The model.
    pub model: RecordedModel,
    /// The settings.
    pub settings: Settings,
    /// The object that `predict --json` prints.
    pub result: Value,
    /// The BLAKE3 hash of each overlay, by its name.
    pub overlays: BTreeMap<String, Hash>,
}

/// The model of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedModel {
    /// The BLAKE3 hash of the file of weights.
    pub weights: Hash,
    /// The BLAKE3 hash of calibration, band, training profile and everything else that is known of the model.
    pub info: Hash,
    /// How images become pixels.
    pub preprocessing: PreprocessorConfig,
    /// The largest number of pixels of an image.
    pub max_pixels: u64,
}

/// The settings of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Whether the evidence was drawn.
    pub explain: bool,
    /// The layer of Grad-CAM.
    pub layer: String,
    /// Whether the stability was computed.
    pub stability: bool,
    /// The BLAKE3 hash of the trust list; `None` without one.
    pub trust_list: Option<Hash>,
}

impl Record {
    /// The version that this build writes. Newer versions are rejected.
    pub const SCHEMA_VERSION: u32 = 1;

    /// Makes the record of a result. The result must be that of one picture alone ([`Judge::check`]), because the last
    /// digits may depend on the other images of a batch.
    pub fn of(judge: &Judge, check: &Check, options: &CheckOptions) -> Record {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Record {
            schema_version: Record::SCHEMA_VERSION,
            candling: env!("CARGO_PKG_VERSION").to_owned(),
            unix_seconds: now.map(|time| time.as_secs()).unwrap_or_default(),
            machine: judge.machine.clone(),
            model: RecordedModel {
                weights: judge.detector.weights(),
                info: judge.info.hash(),
                preprocessing: judge.detector.preprocessing().clone(),
                max_pixels: judge.recipe.max_pixels,
            },
            settings: Settings::of(options),
            result: serde_json::to_value(&check.row).unwrap_or_default(),
            overlays: check.overlays.iter().map(|one| (one.name.clone(), Hash::of(&one.png))).collect(),
        }
    }

    /// Reads the record of the picture `file` from a file of one record, or of one record a line.
    ///
    /// # Errors
    /// The file is unreadable, is no record, or has no record of the picture.
    pub fn read(path: &Path, file: Hash) -> Result<Record, Error> {
        let malformed = |detail: String| artifacts::Error::Malformed {
            path: path.to_owned(),
            format: "record of a verdict",
            detail,
        };
        let text = std::fs::read_to_string(path).map_err(artifacts::Error::io("read", path))?;
        if serde_json::from_str::<Record>(&text).is_ok() {
            return Ok(atomic::read_versioned(path, "record of a verdict", Record::SCHEMA_VERSION)?);
        }
        let mut records = 0_usize;
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let record: Record = serde_json::from_str(line)
                .map_err(|error| malformed(format!("line {}: {}", number + 1, failure::chain(&error))))?;
            if record.file() == Some(file) {
                return Ok(record);
            }
            records += 1;
        }
        Err(malformed(format!("none of its {records} records is of the picture with the hash {file}")).into())
    }

    /// The hash of the picture.
    pub fn file(&self) -> Option<Hash> {
        serde_json::from_value(self.result["file"].clone()).ok()
    }
}

impl Settings {
    /// The settings in some options.
    pub fn of(options: &CheckOptions) -> Settings {
        Settings {
            explain: options.explain,
            layer: options.layer.clone(),
            stability: options.stability,
            trust_list: options.trust.as_ref().map(provenance::TrustList::hash),
        }
    }
}
