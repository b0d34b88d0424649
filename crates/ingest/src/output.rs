//! What ingest writes: shards, `rejected.jsonl`, and the summary in its manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use artifacts::hash::Hash;
use artifacts::schema::{Audit, ExactDuplicates, IngestSummary, Rejected, SplitSummary};
use artifacts::shard::{Sample, ShardWriter};
use artifacts::{Error, Split, atomic, names};

use crate::Config;
use crate::audit::{Observation, Pair, audit, groups, near_duplicates};
use crate::image::{Image, Unusable};
use crate::reject::{self, Fault};
use crate::select::Twin;
use crate::source::Source;

/// The files of one ingest while they are written.
pub(crate) struct Output<'a> {
    folder: &'a Path,
    config: &'a Config,
    /// The shards of one split: the splits come one after another, so that no two buffer their rows at once.
    writer: Option<(Split, ShardWriter)>,
    splits: BTreeMap<Split, SplitSummary>,
    rejected: Vec<Rejected>,
    /// How many of `rejected` were there before any file was added; they come first.
    rejected_first: usize,
    /// The faults of files that were added and are not used, by their places in the source.
    faults: BTreeMap<u32, Fault>,
    exact_duplicates: ExactDuplicates,
    observed: Vec<Observed>,
}

/// What the audit looks at, and the file's place in the source and path.
struct Observed {
    index: u32,
    path: String,
    observation: Observation,
}

impl<'a> Output<'a> {
    /// An empty output in `folder`.
    pub(crate) fn new(folder: &'a Path, config: &'a Config) -> Output<'a> {
        Output {
            folder,
            config,
            writer: None,
            splits: BTreeMap::new(),
            rejected: Vec::new(),
            rejected_first: 0,
            faults: BTreeMap::new(),
            exact_duplicates: ExactDuplicates::default(),
            observed: Vec::new(),
        }
    }

    /// Adds one file, used or not. All files of a split come before those of the next.
    pub(crate) fn add(&mut self, converted: Result<Image, Unusable>) -> Result<(), Error> {
        let Image { sample, pixels, index, observation } = match converted {
            Ok(image) => image,
            Err(Unusable { index, path, id, fault }) => {
                self.rejected.push(fault.clone().of(path, id));
                self.faults.insert(index, fault);
                return Ok(());
            }
        };
        self.count(&sample);
        let path = sample.path.clone();
        self.observed.extend(observation.map(|observation| Observed { index, path, observation }));
        self.writer_of(sample.split)?.push(sample, &pixels)
    }

    fn writer_of(&mut self, split: Split) -> Result<&mut ShardWriter, Error> {
        if let Some((_, finished)) = self.writer.take_if(|(current, _)| *current != split) {
            finished.finish()?;
        }
        let side = self.config.size as usize;
        let start = || (split, ShardWriter::new(self.folder, split, [side, side], self.config.shard_rows));
        Ok(&mut self.writer.get_or_insert_with(start).1)
    }

    /// Notes a file that is not used, before any is added.
    pub(crate) fn reject(&mut self, path: String, id: Option<Hash>, fault: Fault) {
        self.rejected.push(fault.of(path, id));
        self.rejected_first = self.rejected.len();
    }

    /// Notes a file whose bytes `opposite` of the other class has, before any is added; `fault`: what is wrong with it in itself.
    pub(crate) fn reject_conflict(&mut self, path: String, id: Hash, fault: Option<Fault>, opposite: &str) {
        let fault = fault.unwrap_or_else(|| {
            self.exact_duplicates.across_labels += 1;
            Fault::conflicts_with(opposite)
        });
        self.reject(path, Some(id), fault);
    }

    /// Notes the files that others stand for, once those are added: a copy of what cannot be used has its fault too. `path`:
    /// the path of a file by its place in the source.
    pub(crate) fn reject_copies(&mut self, copies: &[Twin], path: impl Fn(u32) -> String) {
        let mut leaked = BTreeSet::new();
        for &Twin { index, key, other, splits: [own, of_other] } in copies {
            let fault = self.faults.get(&other).cloned().unwrap_or_else(|| {
                let found = &mut self.exact_duplicates;
                *(if own == of_other { &mut found.within_a_split } else { &mut found.across_splits }) += 1;
                if own != of_other && of_other == Split::Test {
                    leaked.insert(other);
                }
                Fault::duplicate_of(&path(other))
            });
            self.rejected.push(fault.of(path(index), Some(key)));
        }
        self.exact_duplicates.leaked_test_images = leaked.len() as u64;
    }

    /// Forgets all files that were added, and their shards: the folder holds nothing else yet.
    pub(crate) fn start_over(&mut self) -> Result<(), Error> {
        self.writer = None;
        self.splits.clear();
        self.rejected.truncate(self.rejected_first);
        self.faults.clear();
        self.exact_duplicates =
            ExactDuplicates { across_labels: self.exact_duplicates.across_labels, ..ExactDuplicates::default() };
        self.observed.clear();
        atomic::remove_dir(self.folder)?;
        std::fs::create_dir(self.folder).map_err(Error::io("create", self.folder))
    }

    fn count(&mut self, sample: &Sample) {
        let summary = self.splits.entry(sample.split).or_default();
        *summary.labels.entry(sample.label).or_default() += 1;
        *summary.generators.entry(sample.generator.clone()).or_default() += 1;
        if !self.config.strip {
            *summary.formats.entry(sample.format.clone()).or_default() += 1;
        }
    }

    /// Completes the shards and `rejected.jsonl`. Returns what the manifest says.
    pub(crate) fn finish(&mut self, source: &dyn Source, images_per_second: f64) -> Result<IngestSummary, Error> {
        if let Some((_, last)) = self.writer.take() {
            last.finish()?;
        }
        self.write_rejected(&self.folder.join(names::REJECTED))?;
        let side = self.config.size as usize;
        let seen = source.len() as u64;
        // Whole, so that it holds wherever the next stage is started.
        let files = source.place().and_then(|place| place.canonicalize().ok());
        Ok(IngestSummary {
            source: self.config.source.clone(),
            files: files.map(|place| place.to_string_lossy().into_owned()),
            simulated: self.config.source.starts_with("simulated:"),
            size: [side, side],
            seen,
            rejected: self.rejected.len() as u64,
            rejected_by_reason: self.rejected_by_reason(),
            splits: std::mem::take(&mut self.splits),
            images_per_second,
        })
    }

    /// Writes the list of the files that are not used, and returns it, by path.
    pub(crate) fn write_rejected(&self, path: &Path) -> Result<Vec<&Rejected>, Error> {
        let mut rows: Vec<&Rejected> = self.rejected.iter().collect();
        rows.sort_by_key(|row| (&row.path, &row.reason, &row.detail));
        atomic::write_lines(path, &rows)?;
        Ok(rows)
    }

    /// How many files are not used, by reason.
    pub(crate) fn rejected_by_reason(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for row in &self.rejected {
            *counts.entry(row.reason.clone()).or_default() += 1;
        }
        counts
    }

    /// How many files were added that are used.
    pub(crate) fn used(&self) -> u64 {
        self.splits.values().flat_map(|split| split.labels.values()).sum()
    }

    /// The share of the files that cannot be used, of those that were looked at; copies are not among either.
    pub(crate) fn unusable_share(&self) -> f64 {
        let unusable = self.rejected.iter().filter(|row| reject::is_fault(&row.reason)).count() as u64;
        unusable as f64 / ((unusable + self.used()) as f64).max(1.0)
    }

    /// What is nearly the same among the files that were added, as far as they were observed.
    pub(crate) fn near_duplicates(&self) -> Vec<Pair> {
        near_duplicates(&self.images())
    }

    /// The groups that such pairs make, by the files' places in the source.
    pub(crate) fn groups(&self, pairs: &[Pair]) -> Vec<Vec<u32>> {
        let index = |image: usize| self.observed[image].index;
        groups(pairs).into_iter().map(|group| group.into_iter().map(index).collect()).collect()
    }

    /// Audits what is used, and writes `audit.json`. `pairs`: what [`Output::near_duplicates`] found.
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
