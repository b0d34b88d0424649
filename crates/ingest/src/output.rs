//! The output of ingest: shards, `rejected.jsonl`, `audit.json`, and the summary in the manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::path::Path;
use std::thread::{self, JoinHandle};

use artifacts::hash::Hash;
use artifacts::schema::{Audit, ExactDuplicates, IngestSummary, Rejected, SplitSummary};
use artifacts::shard::{Sample, ShardWriter};
use artifacts::{Error, Split, atomic, names};
use sources::{Location, Rejection, Source, SourcePart};

use crate::Config;
use crate::audit::{Observation, Pair, audit, groups, near_duplicates};
use crate::image::{Converted, Image, RejectedFile};
use crate::rejection;
use crate::select::Duplicate;

/// Collects the results of one ingest and writes them to a folder.
pub(crate) struct Output<'a> {
    folder: &'a Path,
    config: &'a Config,
    /// The writer of the current split. Splits are written one after another, so that only one split buffers rows.
    writer: Option<(Split, ShardWriter)>,
    /// Threads that complete the shards of earlier splits. They wait for the disk while other images are decoded.
    completing: Vec<JoinHandle<Result<usize, Error>>>,
    splits: BTreeMap<Split, SplitSummary>,
    rejected: Vec<Rejected>,
    /// The number of files at the start of `rejected` that were rejected before decoding.
    rejected_before_decoding: usize,
    /// The reasons why files could not be decoded, by index in the source.
    undecodable: BTreeMap<u32, Rejection>,
    exact_duplicates: ExactDuplicates,
    observed: Vec<Observed>,
    /// The number of used files with a fault, and the path and fault of the first one.
    faulty: Option<(u64, String)>,
}

/// Makes the writer of the shards of a split.
pub(crate) fn shard_writer(folder: &Path, split: Split, config: &Config) -> ShardWriter {
    let side = config.size as usize;
    let new = if config.keep_files { ShardWriter::with_files } else { ShardWriter::new };
    new(folder, split, [side, side], config.shard_rows).with_columns(&config.report_columns)
}

/// Adds an image to a shard, with its file if files are kept.
pub(crate) fn push(writer: &mut ShardWriter, sample: Sample, pixels: &[u8], file: Option<&[u8]>) -> Result<(), Error> {
    match file {
        Some(file) => writer.push_with_file(sample, pixels, file),
        None => writer.push(sample, pixels),
    }
}

impl Drop for Output<'_> {
    /// After an error, waits for the threads that write into the folder, which is then removed.
    fn drop(&mut self) {
        self.completing.drain(..).for_each(|thread| drop(thread.join()));
    }
}

/// The input of the audit for one used file.
struct Observed {
    /// Index in the source.
    index: u32,
    path: String,
    observation: Observation,
    is_pseudo_fake: bool,
}

impl<'a> Output<'a> {
    /// Makes an empty output in `folder`.
    pub(crate) fn new(folder: &'a Path, config: &'a Config) -> Output<'a> {
        Output {
            folder,
            config,
            writer: None,
            completing: Vec::new(),
            splits: BTreeMap::new(),
            rejected: Vec::new(),
            rejected_before_decoding: 0,
            undecodable: BTreeMap::new(),
            exact_duplicates: ExactDuplicates::default(),
            observed: Vec::new(),
            faulty: None,
        }
    }

    /// Adds the result of decoding one file. All files of a split must be added before the files of the next split.
    pub(crate) fn add(&mut self, Converted { image, pseudo_fake }: Converted) -> Result<(), Error> {
        match image {
            Ok(image) => self.add_image(image, false)?,
            Err(RejectedFile { index, path, id, rejection }) => {
                self.rejected.push(rejection::row(rejection.clone(), path, id));
                self.undecodable.insert(index, rejection);
            }
        }
        match pseudo_fake {
            None => Ok(()),
            Some(Ok(image)) => self.add_image(image, true),
            Some(Err(RejectedFile { path, id, rejection, .. })) => {
                self.rejected.push(rejection::row(rejection, path, id));
                Ok(())
            }
        }
    }

    fn add_image(&mut self, image: Image, is_pseudo_fake: bool) -> Result<(), Error> {
        let Image { sample, pixels, file, warning, index, observation } = image;
        self.count(&sample);
        if let Some(warning) = warning {
            let first = || (0, format!("`{}`: {warning}", sample.path));
            self.faulty.get_or_insert_with(first).0 += 1;
        }
        let path = sample.path.clone();
        let observed = |observation| Observed { index, path, observation, is_pseudo_fake };
        self.observed.extend(observation.map(observed));
        let writer = self.writer_of(sample.split)?;
        push(writer, sample, &pixels, file.as_deref())
    }

    fn writer_of(&mut self, split: Split) -> Result<&mut ShardWriter, Error> {
        if let Some((_, finished)) = self.writer.take_if(|(current, _)| *current != split) {
            self.completing.push(thread::spawn(|| finished.finish()));
        }
        let start = || (split, shard_writer(self.folder, split, self.config));
        Ok(&mut self.writer.get_or_insert_with(start).1)
    }

    /// Rejects a file. Must be called before any file is added.
    pub(crate) fn reject(&mut self, path: String, id: Option<Hash>, rejection: Rejection) {
        self.rejected.push(rejection::row(rejection, path, id));
        self.rejected_before_decoding = self.rejected.len();
    }

    /// Rejects a file that has the same bytes as `opposite` but the other label. Must be called before any file is
    /// added. If the file is `unusable` for another reason, that reason is recorded instead of the conflict.
    pub(crate) fn reject_conflict(
        &mut self,
        path: String,
        id: Option<Hash>,
        unusable: Option<Rejection>,
        opposite: &str,
    ) {
        let rejection = unusable.unwrap_or_else(|| {
            self.exact_duplicates.across_labels += 1;
            rejection::conflicts_with(opposite)
        });
        self.reject(path, id, rejection);
    }

    /// Rejects duplicates. Must be called after all other files were added. A duplicate of an undecodable file is
    /// rejected for the same reason as that file.
    pub(crate) fn reject_duplicates(&mut self, duplicates: &[Duplicate], source: &dyn Source) {
        let path = |index: u32| source.entry(index as usize).path;
        let mut leaked = BTreeSet::new();
        for &Duplicate { index, key, other, splits: [own, of_other] } in duplicates {
            let rejection = self.undecodable.get(&other).cloned().unwrap_or_else(|| {
                let found = &mut self.exact_duplicates;
                *(if own == of_other { &mut found.within_a_split } else { &mut found.across_splits }) += 1;
                if own != of_other && of_other == Split::Test {
                    leaked.insert(other);
                }
                rejection::duplicate_of(&path(other))
            });
            self.rejected.push(rejection::row(rejection, path(index), source.id_of_key(index as usize, key)));
        }
        self.exact_duplicates.leaked_test_images = leaked.len() as u64;
    }

    /// Discards all files that were added, and their shards. The folder contains nothing else at this point.
    pub(crate) fn start_over(&mut self) -> Result<(), Error> {
        self.writer = None;
        self.complete_earlier_splits()?;
        self.splits.clear();
        self.rejected.truncate(self.rejected_before_decoding);
        self.undecodable.clear();
        self.exact_duplicates =
            ExactDuplicates { across_labels: self.exact_duplicates.across_labels, ..ExactDuplicates::default() };
        self.observed.clear();
        self.faulty = None;
        atomic::remove_dir(self.folder)?;
        std::fs::create_dir(self.folder).map_err(Error::io("create", self.folder))
    }

    /// Waits until the shards of all splits but the current one are complete.
    fn complete_earlier_splits(&mut self) -> Result<(), Error> {
        let finished: Vec<_> = self.completing.drain(..).map(JoinHandle::join).collect();
        finished.into_iter().try_for_each(|result| result.unwrap_or_else(|panic| resume_unwind(panic)).map(drop))
    }

    fn count(&mut self, sample: &Sample) {
        let summary = self.splits.entry(sample.split).or_default();
        *summary.labels.entry(sample.label).or_default() += 1;
        *summary.generators.entry(sample.generator.clone()).or_default() += 1;
        if !self.config.strip {
            *summary.formats.entry(sample.format.clone()).or_default() += 1;
        }
    }

    /// Completes the shards and writes `rejected.jsonl`. Returns the summary for the manifest.
    pub(crate) fn finish(
        &mut self,
        source: &dyn Source,
        content: Hash,
        images_per_second: f64,
    ) -> Result<IngestSummary, Error> {
        if let Some((_, last)) = self.writer.take() {
            last.finish()?;
        }
        self.complete_earlier_splits()?;
        self.write_rejected(&self.folder.join(names::REJECTED))?;
        let side = self.config.size as usize;
        // An absolute path, because later stages may be started in another folder.
        let absolute = |root: &Path| root.canonicalize().ok().map(|root| root.to_string_lossy().into_owned());
        let roots: Vec<Option<String>> = source.roots().into_iter().map(|root| root.and_then(absolute)).collect();
        let is_simulated = |part: &SourcePart| matches!(Location::parse(&part.source), Ok(Location::Simulated(_)));
        Ok(IngestSummary {
            source: self.config.source.to_string(),
            files: source.root().and_then(absolute),
            files_of_parts: if self.config.source.single().is_some() { Vec::new() } else { roots },
            simulated: self.config.source.parts().iter().any(is_simulated),
            size: [side, side],
            seen: source.len() as u64,
            rejected: self.rejected.len() as u64,
            rejected_by_reason: self.rejected_by_reason(),
            splits: std::mem::take(&mut self.splits),
            images_per_second,
            content: Some(content),
        })
    }

    /// Writes the rejected files to `path`, sorted by their paths, and returns them.
    pub(crate) fn write_rejected(&self, path: &Path) -> Result<Vec<&Rejected>, Error> {
        let mut rows: Vec<&Rejected> = self.rejected.iter().collect();
        rows.sort_by_key(|row| (&row.path, &row.reason, &row.detail));
        atomic::write_lines(path, &rows)?;
        Ok(rows)
    }

    /// Returns the number of rejected files by reason.
    pub(crate) fn rejected_by_reason(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for row in &self.rejected {
            *counts.entry(row.reason.clone()).or_default() += 1;
        }
        counts
    }

    /// Describes used files with a fault that does not affect their pixels, as far as can be told.
    pub(crate) fn faults(&self) -> Option<String> {
        self.faulty.as_ref().map(|(count, first)| match count {
            1 => format!("a used file has a fault: {first}"),
            _ => format!("{count} used files have a fault; the first is {first}"),
        })
    }

    /// Returns the number of used files.
    pub(crate) fn used(&self) -> u64 {
        self.splits.values().flat_map(|split| split.labels.values()).sum()
    }

    /// Returns the number of unusable files.
    pub(crate) fn unusable(&self) -> u64 {
        self.rejected.iter().filter(|row| rejection::is_unusable(&row.reason)).count() as u64
    }

    /// Returns the number of files without a known label, and why the first one has none.
    pub(crate) fn unlabelled(&self) -> Option<(usize, &Rejected)> {
        let unlabelled = || self.rejected.iter().filter(|row| row.reason == sources::NO_LABEL);
        Some((unlabelled().count(), unlabelled().next()?))
    }

    /// Finds near-duplicates among the files that were added with an observation. Pseudo-fakes are left out: they are
    /// near-duplicates of their photographs, and of whatever their photographs are near-duplicates of.
    pub(crate) fn near_duplicates(&self) -> Vec<Pair> {
        let files: Vec<usize> = (0..self.observed.len()).filter(|&at| !self.observed[at].is_pseudo_fake).collect();
        let images: Vec<&Observation> = files.iter().map(|&at| &self.observed[at].observation).collect();
        let pairs = near_duplicates(&images).into_iter();
        pairs.map(|pair| Pair { first: files[pair.first], second: files[pair.second], ..pair }).collect()
    }

    /// Joins pairs of near-duplicates into groups of indices in the source.
    pub(crate) fn groups(&self, pairs: &[Pair]) -> Vec<Vec<u32>> {
        let index = |image: usize| self.observed[image].index;
        groups(pairs).into_iter().map(|group| group.into_iter().map(index).collect()).collect()
    }

    /// Audits the used files and writes `audit.json`. `pairs` is the result of [`Output::near_duplicates`].
    pub(crate) fn audit(&self, pairs: &[Pair]) -> Result<Audit, Error> {
        let images = self.images();
        let mut audit = audit(&images, pairs, |image| self.observed[image].path.clone());
        audit.exact_duplicates = Some(self.exact_duplicates);
        atomic::write_json(&self.folder.join(names::AUDIT), &audit)?;
        Ok(audit)
    }

    fn images(&self) -> Vec<&Observation> {
        self.observed.iter().map(|observed| &observed.observation).collect()
    }
}
