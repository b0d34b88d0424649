//! The estimate of the disk space of the shards, printed before ingest starts.

use artifacts::{Label, RunDir, Split, progress};
use rayon::prelude::*;
use sources::Source;

use crate::Config;
use crate::image::kept_bytes;

/// The number of files whose lengths are measured to estimate the length of all kept files.
const MEASURED_FILES: usize = 32;

/// Describes the disk space that the shards need. `None` if the number of images is unknown.
pub(crate) fn shard_notice(run: &RunDir, config: &Config) -> Option<String> {
    let expected = config.expected_splits().map(|splits| splits.into_values().sum::<u64>());
    let free = fetch::free_space(run.path()).map(|free| format!(" ({} free)", progress::bytes(free)));
    let place = format!("in `{}`{}", run.path().display(), free.unwrap_or_default());
    let pseudo_fakes = match config.align {
        None => "",
        Some(_) => "; the pseudo-fakes of ingest.align take up to as much again",
    };
    let pixels = |images: u64| images.saturating_mul(u64::from(config.size).pow(2) * 3);
    let shards = |images: u64| format!("the shards of {images} images of {0}x{0} take", config.size);
    if !config.keep_files {
        let images = expected?;
        return Some(format!("{} {} {place}{pseudo_fakes}", shards(images), progress::bytes(pixels(images))));
    }
    // Never starts a download.
    let source = sources::reopen(&config.source_config(), &[]).ok();
    let images = expected.or_else(|| Some(most_images(&**source.as_ref()?, config)))?;
    let text = format!("{} {} {place} for pixels", shards(images), progress::bytes(pixels(images)));
    Some(match source.and_then(|source| mean_kept_bytes(&*source, config)) {
        Some(mean) => {
            let files = progress::bytes((mean * images as f64) as u64);
            format!("{text} and about {files} for the files that ingest.keep_files keeps{pseudo_fakes}")
        }
        None => format!("{text}, and ingest.keep_files adds the length of all image files{pseudo_fakes}"),
    })
}

/// Returns the largest number of images that ingest can use from a source.
fn most_images(source: &dyn Source, config: &Config) -> u64 {
    let labelled = (0..source.len()).filter(|&index| source.entry(index).label.is_ok()).count() as u64;
    let limit = config.limit.map(|limit| limit.saturating_mul((Label::ALL.len() * Split::ALL.len()) as u64));
    limit.unwrap_or(u64::MAX).min(labelled)
}

/// Estimates the mean length in bytes of a kept file from some files, spread evenly over the source. `None` if none of
/// them is usable.
fn mean_kept_bytes(source: &dyn Source, config: &Config) -> Option<f64> {
    let step = source.len().div_ceil(MEASURED_FILES).max(1);
    let measured: Vec<usize> = (0..source.len()).step_by(step).collect();
    let lengths: Vec<u64> = measured.par_iter().filter_map(|&index| kept_bytes(source, index, config)).collect();
    (!lengths.is_empty()).then(|| lengths.iter().sum::<u64>() as f64 / lengths.len() as f64)
}
