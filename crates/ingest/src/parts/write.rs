//! Conversion of the files of one part.

use std::time::Instant;

use artifacts::atomic::{self, DirWriter};
use artifacts::hash::Hash;
use artifacts::stage::{Failure, Stage, to_json};
use artifacts::{Error, Label, Manifest, RunDir, Split, names, progress};
use sources::{Rejection, Source};

use super::{FILES, PartNumber, PartSummary, RejectedPseudoFake, StoredFile, StoredImage, StoredRejection, stale};
use crate::align::Aligner;
use crate::candidates::count_files;
use crate::image::{Converted, Files, Image, Originals, RejectedFile};
use crate::in_order::in_order;
use crate::output::{push, shard_writer};
use crate::select::Used;
use crate::stage::from_source;
use crate::{Config, Ingest};

/// The split in whose shards a part keeps its images. The merge assigns the splits.
pub(super) const SPLIT: Split = Split::Train;

/// Converts the files of a part, unless that was done before.
///
/// # Errors
/// The source cannot be opened, or the part cannot be written.
pub(crate) fn write_part(run: &RunDir, config: &Config, number: PartNumber, force: bool) -> Result<(), Failure> {
    let start = Instant::now();
    let inputs = Ingest::inputs(run, config)?;
    let target = number.folder(run);
    atomic::recover(&target)?;
    if !force && stale(&target, config, &inputs)?.is_none() {
        progress::line(&format!("ingest: part {number} is up to date: same configuration, source and stage version"));
        return Ok(());
    }
    let source = sources::open(&config.source_config()).map_err(from_source)?;
    let folder = DirWriter::create(&target)?;
    let images = convert(&*source, config, number, &folder)?;
    let manifest = Manifest {
        config: to_json(config),
        inputs,
        seconds: start.elapsed().as_secs_f64(),
        device: format!("cpu ({} threads)", rayon::current_num_threads()),
        summary: to_json(&PartSummary { number, images }),
        ..Manifest::of(folder.path(), names::INGEST_PARTS, artifacts::Code::current(Ingest::VERSION)?)?
    };
    manifest.write(folder.path())?;
    folder.publish()?;
    progress::line(&format!("ingest: part {number}: {images} images in `{}`", target.display()));
    Ok(())
}

/// Writes the images of a part and the list of its files. Returns the number of images.
fn convert(source: &dyn Source, config: &Config, number: PartNumber, folder: &DirWriter) -> Result<u64, Failure> {
    // Only the merge knows the splits.
    let aligner = Aligner::open(config)?.map(Aligner::for_all_splits);
    let files = Originals { source, config, aligner };
    let indices: Vec<u32> = number.range(count_files(source)?).collect();
    let mut writer = shard_writer(folder.path(), SPLIT, config);
    let mut rows = Vec::with_capacity(indices.len());
    let mut images = 0;
    let mut add = |image: Image| -> Result<Option<StoredImage>, Error> {
        let Image { sample, pixels, file, warning, observation, .. } = image;
        push(&mut writer, sample, &pixels, file.as_deref())?;
        images += 1;
        Ok(observation.map(|observation| StoredImage { row: images - 1, warning, observation }))
    };
    let mut store = |(index, key, converted): ConvertedFile| {
        let Some(Converted { image, pseudo_fake }) = converted else {
            rows.push(StoredFile { index, key, image: None, pseudo_fake: None });
            return Ok::<_, Error>(());
        };
        let rejected = |RejectedFile { id, rejection, .. }: RejectedFile| StoredRejection { id, rejection };
        let image = match image {
            Ok(image) => add(image)?.map(Ok),
            Err(file) => Some(Err(rejected(file))),
        };
        let pseudo_fake = match pseudo_fake {
            None => None,
            Some(Ok(image)) => add(image)?.map(Ok),
            Some(Err(file)) => Some(Err(RejectedPseudoFake { path: file.path.clone(), rejected: rejected(file) })),
        };
        rows.push(StoredFile { index, key, image, pseudo_fake });
        Ok(())
    };
    let title = format!("ingest: part {number}");
    in_order(&title, &indices, config, |&index| convert_file(&files, index), &mut store)?;
    if images > 0 {
        writer.finish()?;
    }
    atomic::write_lines(&folder.path().join(FILES), &rows)?;
    Ok(images as u64)
}

/// The index of a file, its content key, and its image if it has a label.
type ConvertedFile = (u32, Result<Hash, Rejection>, Option<Converted>);

fn convert_file(files: &Originals<'_>, index: u32) -> ConvertedFile {
    let key = files.key(index as usize);
    let entry = files.source.entry(index as usize);
    let convert = |(key, label): (Hash, Label)| {
        // The merge assigns splits and numbers generators.
        files.convert(&Used { index, key, label, split: SPLIT, generator: 0 }, true)
    };
    let converted = key.as_ref().ok().copied().zip(entry.label.ok()).map(convert);
    (index, key, converted)
}
