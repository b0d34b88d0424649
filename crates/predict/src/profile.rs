//! Formats and sizes of the training images, for warnings about files that differ from them.

use std::collections::BTreeSet;

use artifacts::shard::{Sample, Shards};
use artifacts::{Manifest, RunDir, Split};
use serde::{Deserialize, Serialize};

/// The share of the smallest, and of the largest, training images that counts as unusual.
const TAIL: f64 = 0.005;

/// Formats and sizes of the training images, and whether they were simulated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingProfile {
    simulated: bool,
    formats: BTreeSet<String>,
    /// The range of the shorter sides of nearly all training images, in pixels.
    shorter_sides: Option<(u32, u32)>,
}

impl TrainingProfile {
    /// Reads the profile of a run's training split. Without the shards, only whether the images were simulated is
    /// known, from the manifest.
    pub fn of_run(run: &RunDir) -> TrainingProfile {
        let ingest = run.ingest();
        let manifest = Manifest::read(&ingest).ok().flatten();
        let simulated = manifest.is_some_and(|manifest| manifest.summary["simulated"].as_bool() == Some(true));
        let profile = Shards::open(&ingest, Split::Train).map(|shards| TrainingProfile::of(shards.samples()));
        TrainingProfile { simulated, ..profile.unwrap_or_default() }
    }

    /// Computes the profile of some images.
    pub fn of(samples: &[Sample]) -> TrainingProfile {
        // Shards made with `ingest.strip` have neither sizes nor formats.
        let sides = samples.iter().map(|sample| sample.width.min(sample.height));
        let mut sides: Vec<u32> = sides.filter(|&side| side > 0).collect();
        sides.sort_unstable();
        let at = |share: f64| sides.get((share * sides.len().saturating_sub(1) as f64).round() as usize).copied();
        TrainingProfile {
            simulated: false,
            formats: samples.iter().map(|sample| sample.format.clone()).filter(|format| !format.is_empty()).collect(),
            shorter_sides: at(TAIL).zip(at(1.0 - TAIL)),
        }
    }

    /// Returns a warning for each way in which an image differs from the training images.
    pub fn warnings(&self, format: &str, width: u32, height: u32) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.simulated {
            warnings.push(
                "the model was trained on simulated images only; its verdicts on other images mean nothing".to_owned(),
            );
        }
        if !self.formats.is_empty() && !self.formats.contains(format) {
            let known: Vec<&str> = self.formats.iter().map(String::as_str).collect();
            warnings.push(format!("no training image was a {format} file (they were {})", known.join(", ")));
        }
        if let Some((low, high)) = self.shorter_sides {
            let side = width.min(height);
            if side < low || side > high {
                let range = if low == high { low.to_string() } else { format!("{low} to {high}") };
                warnings.push(format!("its shorter side has {side} pixels; those of the training images have {range}"));
            }
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use artifacts::Label;
    use artifacts::hash::Hash;

    use super::*;

    fn sample(format: &str, side: u32) -> Sample {
        Sample {
            id: Hash::of(&side.to_le_bytes()),
            path: String::new(),
            label: Label::Real,
            split: Split::Train,
            generator: String::new(),
            width: side,
            height: side + 10,
            format: format.to_owned(),
            file_bytes: 1,
            columns: BTreeMap::new(),
        }
    }

    #[test]
    fn warns_of_unusual_formats_and_sizes() {
        let profile = TrainingProfile::of(&[sample("jpeg", 200), sample("jpeg", 300), sample("png", 400)]);
        assert!(profile.warnings("jpeg", 1000, 250).is_empty());
        let warnings = profile.warnings("webp", 100, 5000);
        assert!(warnings[0].contains("webp") && warnings[0].contains("jpeg, png"), "{warnings:?}");
        assert!(warnings[1].contains("100 pixels") && warnings[1].contains("200 to 400"), "{warnings:?}");
        let simulated = TrainingProfile { simulated: true, ..profile };
        assert!(simulated.warnings("jpeg", 1000, 250)[0].contains("simulated images only"));
        assert!(TrainingProfile::default().warnings("webp", 1, 1).is_empty());
        let stripped = Sample { width: 0, height: 0, ..sample("", 1) };
        assert!(TrainingProfile::of(&[stripped]).warnings("webp", 1, 1).is_empty());
    }
}
