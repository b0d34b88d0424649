//! Ingest as a stage of the pipeline.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use artifacts::atomic::{self, DirWriter};
use artifacts::hash::Hash;
use artifacts::schema::{Audit, IngestSummary, Shortcut, SplitSummary, Verdict};
use artifacts::stage::{Failure, Job, Stage, to_json};
use artifacts::{Error, Label, RunDir, Split, names, progress};

use crate::audit::{Observation, near_duplicates, to_drop};
use crate::config::{Config, Expected};
use crate::image;
use crate::in_order::in_order;
use crate::output::Output;
use crate::recut::recut;
use crate::reject::{self, Fault};
use crate::scan::scan;
use crate::select::{Selection, Twin, Used, select};
use crate::source::{self, Source, SourceError};

/// Unusable files that the error shows where there are too many of them.
const EXAMPLES: usize = 5;

/// Sources of labelled images to shards.
pub struct Ingest;

impl Stage for Ingest {
    const NAME: &'static str = names::INGEST;
    const VERSION: u32 = 1;
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Failure> {
        config.validate().map_err(Failure::usage)
    }

    fn splits(config: &Config) -> Option<BTreeMap<Split, Option<u64>>> {
        source::splits(config)
    }

    fn inputs(_run: &RunDir, config: &Config) -> Result<BTreeMap<String, Hash>, Failure> {
        let fingerprint = source::fingerprint(config).map_err(from_source)?;
        Ok(BTreeMap::from([("source".to_owned(), fingerprint)]))
    }

    fn notices(run: &RunDir, config: &Config) -> Vec<String> {
        source::notice(config).into_iter().chain(shard_notice(run, config)).collect()
    }

    fn run(job: &Job<Config>) -> Result<(), Failure> {
        let folder = DirWriter::create(&job.run.ingest())?;
        // The folder itself will not be kept where ingest is refused.
        let refused = job.run.rejected_by_failed_ingest();
        let summary = ingest(&job.config, &folder, &refused)?;
        atomic::remove_file(&refused)?;
        let device = format!("cpu ({} threads)", rayon::current_num_threads());
        job.publish(folder, &device, to_json(&summary))?;
        progress::line(&format!("ingest: {}", in_words(&summary)));
        Ok(())
    }
}

/// What the shards will take, where it is known how many images there are.
fn shard_notice(run: &RunDir, config: &Config) -> Option<String> {
    let images: u64 = config.expected_splits()?.into_values().sum();
    let bytes = images * u64::from(config.size).pow(2) * 3;
    let free = fetch::free_space(run.path()).map(|free| format!(", where {} are free", progress::bytes(free)));
    let place = format!("in `{}`{}", run.path().display(), free.unwrap_or_default());
    Some(format!("the shards of {images} images of {0}x{0} take {1} {place}", config.size, progress::bytes(bytes)))
}

/// Does the work: what `config` names becomes shards in `folder`. Where too much is unusable, the list of it goes to `refused`.
fn ingest(config: &Config, folder: &DirWriter, refused: &Path) -> Result<IngestSummary, Failure> {
    let source = source::open(config).map_err(from_source)?;
    let mut output = Output::new(folder.path(), config);
    if let Some(remark) = source.remark() {
        progress::line(&format!("ingest: {remark}"));
    }

    let scanned = scan(&*source);
    for (index, id, fault) in scanned.faults {
        output.reject(source.entry(index as usize).path, id, fault);
    }
    let mut selection = select(scanned.candidates, config);
    if !selection.conflicts.is_empty() {
        reject_conflicts(&*source, &selection.conflicts, config, &mut output)?;
    }
    if config.drop_near_duplicates {
        drop_near_duplicates(&*source, &mut selection, config, &mut output)?;
    }
    // A cut has to be looked at too, whether or not there is to be an audit.
    let observe = config.audit || !selection.cut.is_empty();
    let convert = |file: &Used| image::convert(&*source, file, config, observe);
    let decode = |output: &mut Output, selection: &Selection| -> Result<(), Failure> {
        in_order("ingest: decoding", &selection.used, config, convert, |converted| output.add(converted))?;
        output.reject_copies(&selection.duplicates, |index| source.entry(index as usize).path);
        check(output, config, refused)
    };
    let start = Instant::now();
    decode(&mut output, &selection)?;
    let images_per_second = selection.used.len() as f64 / start.elapsed().as_secs_f64().max(1e-9);
    let mut pairs = output.near_duplicates();
    if let Some(shortcomings) = recut(&mut selection, output.groups(&pairs), config) {
        progress::line("ingest: images that are nearly the same were on both sides of a cut, which is made again");
        for shortcoming in shortcomings {
            progress::line(&format!("ingest: warning: {shortcoming}"));
        }
        output.start_over()?;
        decode(&mut output, &selection)?;
        pairs = output.near_duplicates();
    }

    let summary = output.finish(&*source, images_per_second)?;
    warn(&summary, config);
    if config.audit {
        tell(&output.audit(&pairs)?);
    }
    Ok(summary)
}

/// Files whose bytes stand under both labels are used under neither. What is broken has no label to contradict.
fn reject_conflicts(
    source: &dyn Source,
    conflicts: &[Twin],
    config: &Config,
    output: &mut Output,
) -> Result<(), Error> {
    let look = |twin| (twin, image::fault(source, twin, config));
    in_order("ingest: conflicting labels", conflicts, config, look, |(twin, fault)| {
        let path = |index: u32| source.entry(index as usize).path;
        output.reject_conflict(path(twin.index), twin.key, fault, &path(twin.other));
        Ok(())
    })
}

/// Looks at all pictures, and keeps one of those that are nearly the same; what has the bytes of one that goes, goes too.
fn drop_near_duplicates(
    source: &dyn Source,
    selection: &mut Selection,
    config: &Config,
    output: &mut Output,
) -> Result<(), Error> {
    let observe = |file| (file, image::observe(source, file, config));
    let mut observed: Vec<(&Used, Observation)> = Vec::new();
    in_order("ingest: comparing", &selection.used, config, observe, |(file, observation)| {
        observed.extend(observation.map(|observation| (file, observation)));
        Ok::<_, Error>(())
    })?;
    let images: Vec<&Observation> = observed.iter().map(|(_, observation)| observation).collect();
    let dropped = to_drop(&images, &near_duplicates(&images));
    let dropped: BTreeMap<u32, Hash> =
        dropped.into_iter().map(|image| (observed[image].0.index, observed[image].0.key)).collect();
    let mut reject = |index: u32, key| {
        output.reject(source.entry(index as usize).path, Some(key), Fault::near_duplicate());
    };
    dropped.iter().for_each(|(index, key)| reject(*index, *key));
    selection.used.retain(|file| !dropped.contains_key(&file.index));
    selection.duplicates.retain(|twin| {
        let kept = !dropped.contains_key(&twin.other);
        if !kept {
            reject(twin.index, twin.key);
        }
        kept
    });
    Ok(())
}

/// Stops where so much is unusable that the rest cannot be trusted to be what was meant. The list of it is then in `refused`.
fn check(output: &Output, config: &Config, refused: &Path) -> Result<(), Failure> {
    let share = output.unusable_share();
    if share <= config.max_rejected && output.used() > 0 {
        return Ok(());
    }
    let rejected = output.write_rejected(refused)?;
    let unusable = rejected.into_iter().filter(|row| reject::is_fault(&row.reason));
    let examples: Vec<String> = unusable.take(EXAMPLES).map(|row| format!("`{}`: {}", row.path, row.detail)).collect();
    Err(Failure::input(format!(
        "{:.1}% of the images cannot be used ({}), and ingest.max_rejected = {} allows no more than {:.1}%; all are listed in `{}`; {}",
        100.0 * share,
        reasons(&output.rejected_by_reason()),
        config.max_rejected,
        100.0 * config.max_rejected,
        refused.display(),
        examples.join("; "),
    )))
}

/// Says what the splits lack for what they are used for. A source that is only judged may have one class.
fn warn(summary: &IngestSummary, config: &Config) {
    if config.split.is_some() {
        return;
    }
    for (split, SplitSummary { labels, .. }) in &summary.splits {
        for missing in Label::ALL.into_iter().filter(|label| labels.get(label).is_none_or(|count| *count == 0)) {
            progress::line(&format!("ingest: warning: the {split} split has no {missing} image"));
        }
    }
    let (seen, expected) = (summary.seen, config.expected().map(Expected::total));
    if let Some(expected) = expected.filter(|expected| *expected != seen) {
        progress::line(&format!(
            "ingest: warning: the source has {seen} images, not {expected} as ingest.expected says"
        ));
    }
}

/// How many of each reason there are.
fn reasons(rejected: &BTreeMap<String, u64>) -> String {
    let counts = rejected.iter().map(|(reason, count)| format!("{count} {reason}"));
    counts.collect::<Vec<_>>().join(", ")
}

/// Says what the audit found.
fn tell(audit: &Audit) {
    if let Some(leaked) = audit.exact_duplicates.map(|found| found.leaked_test_images).filter(|leaked| *leaked > 0) {
        progress::line(&format!(
            "ingest: audit: {leaked} test images also stand in training or validation as the source has them; they are used to \
             test alone"
        ));
    }
    match audit.verdict {
        Verdict::Pass => progress::line("ingest: audit: pass, no shortcut was found"),
        Verdict::Warning => {
            for Shortcut { feature, explanation, .. } in &audit.shortcuts {
                progress::line(&format!("ingest: audit: warning, {feature}: {explanation}"));
            }
        }
    }
}

fn from_source(error: SourceError) -> Failure {
    if error.is_usage() { Failure::usage(error) } else { Failure::input(error) }
}

fn in_words(summary: &IngestSummary) -> String {
    let of = |label| summary.splits.values().filter_map(|split| split.labels.get(&label)).sum::<u64>();
    let splits: Vec<String> = summary
        .splits
        .iter()
        .map(|(split, counts)| format!("{} {split}", counts.labels.values().sum::<u64>()))
        .collect();
    let mut text = format!("{} ({} real, {} fake)", splits.join(", "), of(Label::Real), of(Label::Fake));
    if summary.rejected > 0 {
        text += &format!("; not used: {} (see {})", reasons(&summary.rejected_by_reason), names::REJECTED);
    }
    text
}
