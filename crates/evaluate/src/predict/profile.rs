//! What the training images were like, so that a picture unlike them comes with a warning.

use std::collections::BTreeSet;

use artifacts::shard::{Sample, Shards};
use artifacts::{Manifest, RunDir, Split};

/// The share of training images at either end of the sizes that counts as unusual.
const TAIL: f64 = 0.005;

/// Formats and sizes of the training split, and whether it was made up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainingProfile {
    simulated: bool,
    formats: BTreeSet<String>,
    /// The shorter sides from which to which nearly all training images are.
    shorter: Option<(u32, u32)>,
}

impl TrainingProfile {
    /// Of a run's own training split, as far as it is there: of shards that were removed the manifest still says whether they
    /// were simulated.
    pub fn of_run(run: &RunDir) -> TrainingProfile {
        let ingest = run.ingest();
        let manifest = Manifest::read(&ingest).ok().flatten();
        let simulated = manifest.is_some_and(|manifest| manifest.summary["simulated"].as_bool() == Some(true));
        let profile = Shards::open(&ingest, Split::Train).map(|shards| TrainingProfile::of(shards.samples()));
        TrainingProfile { simulated, ..profile.unwrap_or_default() }
    }

    /// Of some images.
    pub fn of(samples: &[Sample]) -> TrainingProfile {
        // A set that was ingested with `strip` has no sizes and formats to compare with.
        let sides = samples.iter().map(|sample| sample.width.min(sample.height));
        let mut sides: Vec<u32> = sides.filter(|&side| side > 0).collect();
        sides.sort_unstable();
        let at = |share: f64| sides.get((share * sides.len().saturating_sub(1) as f64).round() as usize).copied();
        TrainingProfile {
            simulated: false,
            formats: samples.iter().map(|sample| sample.format.clone()).filter(|format| !format.is_empty()).collect(),
            shorter: at(TAIL).zip(at(1.0 - TAIL)),
        }
    }

    /// In what a picture is unlike the training images.
    pub fn warnings(&self, format: &str, width: u32, height: u32) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.simulated {
            warnings.push("the model has seen simulated images alone, and says nothing of other ones".to_owned());
        }
        if !self.formats.is_empty() && !self.formats.contains(format) {
            let known: Vec<&str> = self.formats.iter().map(String::as_str).collect();
            warnings.push(format!("no training image was {format} (they were {})", known.join(", ")));
        }
        if let Some((low, high)) = self.shorter {
            let side = width.min(height);
            if side < low || side > high {
                warnings
                    .push(format!("its shorter side of {side} pixels is outside the training images' {low} to {high}"));
            }
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
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
        }
    }

    #[test]
    fn strangers_are_named() {
        let profile = TrainingProfile::of(&[sample("jpeg", 200), sample("jpeg", 300), sample("png", 400)]);
        assert!(profile.warnings("jpeg", 1000, 250).is_empty());
        let warnings = profile.warnings("webp", 100, 5000);
        assert!(warnings[0].contains("webp") && warnings[0].contains("jpeg, png"), "{warnings:?}");
        assert!(warnings[1].contains("100 pixels") && warnings[1].contains("200 to 400"), "{warnings:?}");
        let simulated = TrainingProfile { simulated: true, ..profile };
        assert!(simulated.warnings("jpeg", 1000, 250)[0].contains("simulated images alone"));
        assert!(TrainingProfile::default().warnings("webp", 1, 1).is_empty());
        let stripped = Sample { width: 0, height: 0, ..sample("", 1) };
        assert!(TrainingProfile::of(&[stripped]).warnings("webp", 1, 1).is_empty());
    }
}
