//! The stage `ingest`, which converts a source to the folder `ingest/` of a run.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use artifacts::atomic::{self, DirWriter};
use artifacts::hash::Hash;
use artifacts::schema::{Audit, IngestSummary, Rejected, Shortcut, SplitSummary, Verdict};
use artifacts::stage::{Failure, Job, Stage, to_json};
use artifacts::text::visible;
use artifacts::{Error, Label, Manifest, RunDir, Split, names, progress};
use sources::{Source, SourceError};

use crate::align::{AlignConfig, Aligner};
use crate::audit::{Observation, join, near_duplicates, to_drop};
use crate::candidates::first_pass;
use crate::config::{Config, Expected};
use crate::disk_space::shard_notice;
use crate::image::{Files, Originals};
use crate::in_order::in_order;
use crate::output::Output;
use crate::parts::{ConvertedParts, check_parts};
use crate::rejection;
use crate::resplit::{SplitWarning, keep_groups_together};
use crate::select::{Duplicate, Selection, Used, select};
use crate::splits::predict_splits;

/// The number of unusable files that an error message lists.
const EXAMPLES: usize = 5;

/// The stage `ingest`.
pub struct Ingest;

impl Stage for Ingest {
    const NAME: &'static str = names::INGEST;
    const VERSION: u32 = 5;
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Failure> {
        config.validate().map_err(Failure::usage)
    }

    fn splits(config: &Config) -> Option<BTreeMap<Split, Option<u64>>> {
        predict_splits(config)
    }

    fn inputs(_run: &RunDir, config: &Config) -> Result<BTreeMap<String, Hash>, Failure> {
        let fingerprint = sources::fingerprint(&config.source_config()).map_err(from_source)?;
        let vae = config.align.as_ref().map(AlignConfig::inputs).transpose()?.flatten();
        let inputs = [("source", Some(fingerprint)), ("vae", vae)];
        Ok(inputs.into_iter().filter_map(|(name, hash)| Some((name.to_owned(), hash?))).collect())
    }

    fn notices(run: &RunDir, config: &Config) -> Vec<String> {
        let downloads = sources::download_notices(&config.source_config()).into_iter();
        // An error is an obstacle.
        let autoencoder = config.align.as_ref().and_then(|align| align.download_notice().ok().flatten());
        downloads.chain(autoencoder).chain(shard_notice(run, config)).collect()
    }

    fn obstacles(_run: &RunDir, config: &Config) -> Vec<String> {
        let autoencoder = config.align.as_ref().and_then(|align| align.download_notice().err());
        autoencoder.map(|error| error.to_string()).into_iter().collect()
    }

    fn run(job: &Job<Config>) -> Result<(), Failure> {
        let source = sources::open(&job.config.source_config()).map_err(from_source)?;
        let aligner = Aligner::open(&job.config)?;
        run(job, &*source, &Originals { source: &*source, config: &job.config, aligner })
    }
}

/// The stage `ingest` on images that were converted in parts. The result is the same.
pub(crate) struct MergedIngest;

impl Stage for MergedIngest {
    const NAME: &'static str = Ingest::NAME;
    const VERSION: u32 = Ingest::VERSION;
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Failure> {
        Ingest::validate(config)
    }

    fn splits(config: &Config) -> Option<BTreeMap<Split, Option<u64>>> {
        Ingest::splits(config)
    }

    fn inputs(run: &RunDir, config: &Config) -> Result<BTreeMap<String, Hash>, Failure> {
        let inputs = Ingest::inputs(run, config)?;
        check_parts(run, config, &inputs)?;
        Ok(inputs)
    }

    fn notices(run: &RunDir, config: &Config) -> Vec<String> {
        Ingest::notices(run, config)
    }

    fn run(job: &Job<Config>) -> Result<(), Failure> {
        let source = sources::open(&job.config.source_config()).map_err(from_source)?;
        let parts = ConvertedParts::open(&job.run, &*source, &job.config, &job.inputs)?;
        run(job, &*source, &parts)
    }
}

/// Ingests `source`, whose contents and images are `files`, and publishes the result.
fn run(job: &Job<Config>, source: &dyn Source, files: &dyn Files) -> Result<(), Failure> {
    let folder = DirWriter::create(&job.run.ingest())?;
    // Not in `folder`, which is removed if too many files are unusable.
    let rejected_path = job.run.rejected_by_failed_ingest();
    let summary = ingest(source, files, &job.config, &folder, &rejected_path)?;
    atomic::remove_file(&rejected_path)?;
    let device = format!("cpu ({} threads)", rayon::current_num_threads());
    job.publish(folder, &device, to_json(&summary))?;
    progress::line(&format!("ingest: {}", format_summary(&summary)));
    Ok(())
}

/// Returns whether a file of the source differs from the one that was ingested, even if it has the same size and
/// modification time. Reads all files. `None` if there is no result to compare with.
pub(crate) fn has_other_content(run: &RunDir, config: &Config) -> Result<Option<bool>, Failure> {
    let Some(manifest) = Manifest::read(&run.ingest())? else { return Ok(None) };
    let Some(recorded) = manifest.summary["content"].as_str() else { return Ok(None) };
    let source = sources::open(&config.source_config()).map_err(from_source)?;
    Ok(Some(
        first_pass(&*source, &Originals { source: &*source, config, aligner: None })?.content.to_string() != recorded,
    ))
}

/// Writes the shards, `rejected.jsonl` and `audit.json` to `folder`. If too many files are unusable, writes only the
/// list of rejected files, to `rejected_path`.
fn ingest(
    source: &dyn Source,
    files: &dyn Files,
    config: &Config,
    folder: &DirWriter,
    rejected_path: &Path,
) -> Result<IngestSummary, Failure> {
    let mut output = Output::new(folder.path(), config);
    if let Some(notice) = source.notice() {
        progress::line(&format!("ingest: {notice}"));
    }

    let first = first_pass(source, files)?;
    for (index, id, rejection) in first.rejected {
        output.reject(source.entry(index as usize).path, id, rejection);
    }
    let mut selection = select(first.candidates, config);
    let together = selection.groups(first.groups);
    if let Some(column) = config.group_column.as_deref().filter(|_| config.split.is_none()) {
        keep_cells_together(&mut selection, &together, column, config);
    }
    if !selection.conflicts.is_empty() {
        reject_conflicts(source, files, &selection.conflicts, config, &mut output)?;
    }
    if config.drop_near_duplicates {
        drop_near_duplicates(source, files, &mut selection, config, &mut output)?;
    }
    // Splits that ingest made are checked for near-duplicates even without an audit.
    let observe = config.audit || !selection.made_splits.is_empty();
    let convert = |file: &Used| files.convert(file, observe);
    let decode = |output: &mut Output, selection: &Selection| -> Result<(), Failure> {
        in_order(&files.title("decoding"), &selection.used, config, convert, |converted| output.add(converted))?;
        output.reject_duplicates(&selection.duplicates, source);
        check_unusable_share(output, config, rejected_path)
    };
    let start = Instant::now();
    decode(&mut output, &selection)?;
    let measured = || selection.used.len() as f64 / start.elapsed().as_secs_f64().max(1e-9);
    let images_per_second = files.earlier_images_per_second().unwrap_or_else(measured);
    let mut pairs = output.near_duplicates();
    let groups = join(output.groups(&pairs).into_iter().chain(together));
    if let Some(warnings) = keep_groups_together(&mut selection, groups, config) {
        progress::line(
            "ingest: near-duplicates were in different splits; assigning the splits again and starting over",
        );
        print_warnings(warnings);
        output.start_over()?;
        decode(&mut output, &selection)?;
        pairs = output.near_duplicates();
    }

    let summary = output.finish(source, first.content, images_per_second)?;
    list_other_files(source, folder.path())?;
    warn(&summary, config);
    if let Some((count, first)) = output.unlabelled() {
        progress::line(&format!(
            "ingest: warning: {count} of {} images have no known label and are not used; the first is `{}`: {}",
            summary.seen, first.path, first.detail
        ));
    }
    if let Some(faults) = output.faults() {
        progress::line(&format!("ingest: warning: {faults}"));
    }
    if config.audit {
        report_audit(&output.audit(&pairs)?);
    }
    Ok(summary)
}

/// Keeps images with equal cells of a column together in the splits that ingest makes. Prints how many there are, and
/// warns if the source itself divides them.
fn keep_cells_together(selection: &mut Selection, groups: &[Vec<u32>], column: &str, config: &Config) {
    let column = visible(column);
    let images: usize = groups.iter().map(Vec::len).sum();
    progress::line(&format!("ingest: {} groups of images with the same {column} have {images} images", groups.len()));
    print_warnings(keep_groups_together(selection, groups.to_vec(), config).unwrap_or_default());
    let splits: BTreeMap<u32, Split> = selection.used.iter().map(|file| (file.index, file.split)).collect();
    let is_divided = |group: &&Vec<u32>| {
        let mut splits = group.iter().filter_map(|index| splits.get(index));
        splits.next().is_some_and(|first| splits.any(|split| split != first))
    };
    match groups.iter().filter(is_divided).count() {
        0 => {}
        divided => progress::line(&format!(
            "ingest: warning: {divided} groups of images with the same {column} are in more than one split of the source"
        )),
    }
}

fn print_warnings(warnings: Vec<SplitWarning>) {
    for warning in warnings {
        progress::line(&format!("ingest: warning: {warning}"));
    }
}

/// Writes the files that are not among the images of the source to `other-files.jsonl`, if there are any, and prints
/// how many there are. They do not count as unusable images.
fn list_other_files(source: &dyn Source, folder: &Path) -> Result<(), Error> {
    let Some(first) = source.other_files().first() else { return Ok(()) };
    let mut by_reason: BTreeMap<String, u64> = BTreeMap::new();
    for file in source.other_files() {
        *by_reason.entry(file.rejection.reason.to_string()).or_default() += 1;
    }
    let rows = source.other_files().iter().cloned();
    let rows: Vec<Rejected> = rows.map(|file| rejection::row(file.rejection, file.path, None)).collect();
    atomic::write_lines(&folder.join(names::OTHER_FILES), &rows)?;
    progress::line(&format!(
        "ingest: {} other files are not used: {}; the first is `{}`: {} (see {})",
        rows.len(),
        counts(&by_reason),
        first.path,
        first.rejection.detail,
        names::OTHER_FILES,
    ));
    Ok(())
}

/// Rejects files whose bytes occur under both labels. A file that is unusable for another reason is rejected for that
/// reason.
fn reject_conflicts(
    source: &dyn Source,
    files: &dyn Files,
    conflicts: &[Duplicate],
    config: &Config,
    output: &mut Output,
) -> Result<(), Error> {
    let check = |file| (file, files.check(file));
    in_order(&files.title("conflicting labels"), conflicts, config, check, |(file, unusable)| {
        let path = |index: u32| source.entry(index as usize).path;
        output.reject_conflict(
            path(file.index),
            source.id_of_key(file.index as usize, file.key),
            unusable,
            &path(file.other),
        );
        Ok(())
    })
}

/// Decodes all images and keeps at most one of each group of near-duplicates. Exact duplicates of a dropped file are
/// dropped too.
fn drop_near_duplicates(
    source: &dyn Source,
    files: &dyn Files,
    selection: &mut Selection,
    config: &Config,
    output: &mut Output,
) -> Result<(), Error> {
    let observe = |file| (file, files.observe(file));
    let mut observed: Vec<(&Used, Observation)> = Vec::new();
    in_order(&files.title("comparing"), &selection.used, config, observe, |(file, observation)| {
        observed.extend(observation.map(|observation| (file, observation)));
        Ok::<_, Error>(())
    })?;
    let images: Vec<&Observation> = observed.iter().map(|(_, observation)| observation).collect();
    let dropped = to_drop(&images, &near_duplicates(&images));
    let dropped: BTreeMap<u32, Hash> =
        dropped.into_iter().map(|image| (observed[image].0.index, observed[image].0.key)).collect();
    let mut reject = |index: u32, key| {
        let id = source.id_of_key(index as usize, key);
        output.reject(source.entry(index as usize).path, id, rejection::near_duplicate());
    };
    dropped.iter().for_each(|(index, key)| reject(*index, *key));
    selection.used.retain(|file| !dropped.contains_key(&file.index));
    selection.duplicates.retain(|duplicate| {
        let kept = !dropped.contains_key(&duplicate.other);
        if !kept {
            reject(duplicate.index, duplicate.key);
        }
        kept
    });
    Ok(())
}

/// Fails if more files are unusable than `ingest.max_rejected` allows, or if no file is left. Then writes the list of
/// rejected files to `rejected_path`.
fn check_unusable_share(output: &Output, config: &Config, rejected_path: &Path) -> Result<(), Failure> {
    let (unusable, used) = (output.unusable(), output.used());
    // Duplicates count neither as used nor as unusable.
    let all = unusable + used;
    let share = unusable as f64 / (all as f64).max(1.0);
    if share <= config.max_rejected && used > 0 {
        return Ok(());
    }
    let rejected = output.write_rejected(rejected_path)?;
    let examples = rejected.into_iter().filter(|row| rejection::is_unusable(&row.reason));
    let examples: Vec<String> = examples.take(EXAMPLES).map(|row| format!("`{}`: {}", row.path, row.detail)).collect();
    let counts = counts(&output.rejected_by_reason());
    let problem = if share > config.max_rejected {
        format!(
            "{unusable} of {all} images ({:.1}%) are unusable ({counts}), but ingest.max_rejected = {} allows only {:.1}%",
            100.0 * share,
            config.max_rejected,
            100.0 * config.max_rejected,
        )
    } else {
        format!("no image is left ({counts})")
    };
    let list = format!("`{}` lists all rejected files with the reason", rejected_path.display());
    let parts: Vec<String> = [problem, list].into_iter().chain(examples).collect();
    Err(Failure::input(parts.join("; ")))
}

/// Warns about splits that lack a class and about an unexpected number of images. Does nothing with `ingest.split`,
/// because such a source is used only for evaluation.
fn warn(summary: &IngestSummary, config: &Config) {
    if config.split.is_some() {
        return;
    }
    for (split, SplitSummary { labels, .. }) in &summary.splits {
        for missing in Label::ALL.into_iter().filter(|label| labels.get(label).is_none_or(|count| *count == 0)) {
            progress::line(&format!("ingest: warning: the {split} split has no {missing} images"));
        }
    }
    let (seen, expected) = (summary.seen, config.expected().map(Expected::total));
    if let Some(expected) = expected.filter(|expected| *expected != seen) {
        progress::line(&format!(
            "ingest: warning: the source has {seen} images, but ingest.expected states {expected}"
        ));
    }
}

/// Formats the number of files by reason, as in `3 empty, 2 no_label`.
fn counts(rejected: &BTreeMap<String, u64>) -> String {
    let counts = rejected.iter().map(|(reason, count)| format!("{count} {reason}"));
    counts.collect::<Vec<_>>().join(", ")
}

/// Prints the result of the audit.
fn report_audit(audit: &Audit) {
    if let Some(leaked) = audit.exact_duplicates.map(|found| found.leaked_test_images).filter(|leaked| *leaked > 0) {
        progress::line(&format!(
            "ingest: audit: {leaked} test images also occur in the source's training or validation split; they are used only \
             for testing"
        ));
    }
    match audit.verdict {
        Verdict::Pass => progress::line("ingest: audit: pass, no shortcut found"),
        Verdict::Inconclusive => {
            let why = audit.why_inconclusive().unwrap_or_default();
            progress::line(&format!("ingest: audit: inconclusive, {why}"));
        }
        Verdict::Warning => {
            for Shortcut { feature, explanation, .. } in &audit.shortcuts {
                progress::line(&format!("ingest: audit: warning, {feature}: {explanation}"));
            }
        }
    }
}

pub(crate) fn from_source(error: SourceError) -> Failure {
    if error.is_usage() { Failure::usage(error) } else { Failure::input(error) }
}

/// Formats the summary as one line.
fn format_summary(summary: &IngestSummary) -> String {
    let of = |label| summary.splits.values().filter_map(|split| split.labels.get(&label)).sum::<u64>();
    let splits: Vec<String> = summary
        .splits
        .iter()
        .map(|(split, counts)| format!("{} {split}", counts.labels.values().sum::<u64>()))
        .collect();
    let mut text = format!("{} ({} real, {} fake)", splits.join(", "), of(Label::Real), of(Label::Fake));
    if summary.rejected > 0 {
        text += &format!("; not used: {} (see {})", counts(&summary.rejected_by_reason), names::REJECTED);
    }
    text
}
