//! Ingest as a stage of the pipeline.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use artifacts::atomic::{self, DirWriter};
use artifacts::hash::Hash;
use artifacts::schema::{Audit, IngestSummary, Rejected, Shortcut, SplitSummary, Verdict};
use artifacts::stage::{Failure, Job, Stage, to_json};
use artifacts::{Error, Label, RunDir, Split, names, progress};

use crate::audit::{Observation, near_duplicates, to_drop};
use crate::config::Config;
use crate::image;
use crate::in_order::in_order;
use crate::kaggle::gigabytes;
use crate::output::{Output, unusable_share};
use crate::recut::recut;
use crate::reject::{self, Fault};
use crate::scan::scan;
use crate::select::{Selection, Used, select};
use crate::source::{self, Source, SourceError};

/// Unusable files that the error shows where there are too many of them.
const EXAMPLES: usize = 5;

/// Sources of labelled images to shards.
pub struct Ingest;

impl Stage for Ingest {
    const NAME: &'static str = names::INGEST;
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Failure> {
        config.validate().map_err(Failure::usage)
    }

    fn settle(config: &mut Config, file: &Config) {
        // What the file expects, it expects of its own source.
        if config.source != file.source && config.expected == file.expected {
            config.expected.clear();
        }
    }

    fn splits(config: &Config) -> Option<BTreeSet<Split>> {
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
        // Where the list of a refused ingest is kept: the folder itself will not be.
        let refused = job.run.path().join(names::REJECTED);
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
    let images = config.expected_images();
    let bytes = images * u64::from(config.size).pow(2) * 3;
    let free = fetch::free_space(run.path()).map(|free| format!(", where {} are free", gigabytes(free)));
    (images > 0).then(|| {
        let place = format!("in `{}`{}", run.path().display(), free.unwrap_or_default());
        format!("the shards of {images} images of {0}x{0} take {1} {place}", config.size, gigabytes(bytes))
    })
}

/// Does the work: what `config` names becomes shards in `folder`. Where too much is unusable, the list of it goes to `refused`.
fn ingest(config: &Config, folder: &DirWriter, refused: &Path) -> Result<IngestSummary, Failure> {
    let start = Instant::now();
    let source = source::open(config).map_err(from_source)?;
    let mut output = Output::new(folder.path(), config);

    let scanned = scan(&*source);
    for (index, fault) in scanned.faults {
        output.reject(source.entry(index as usize).path, fault);
    }
    let mut selection = select(scanned.candidates, config);
    reject_copies(&*source, &selection, &mut output);
    if config.drop_near_duplicates {
        selection.used = without_near_duplicates(&*source, selection.used, config, &mut output)?;
    }
    // A cut has to be looked at too, whether or not there is to be an audit.
    let observe = config.audit || !selection.cut.is_empty();
    let convert = |file: &Used| image::convert(&*source, file, config, observe);
    in_order("ingest: decoding", &selection.used, config, convert, |converted| output.add(converted))?;
    let mut pairs = output.near_duplicates();
    if recut(&mut selection, output.groups(&pairs), config.seed) {
        progress::line("ingest: images that are nearly the same were on both sides of a cut, which is made again");
        output.start_over()?;
        in_order("ingest: decoding", &selection.used, config, convert, |converted| output.add(converted))?;
        pairs = output.near_duplicates();
    }

    let summary = output.finish(&*source, start.elapsed().as_secs_f64())?;
    if let Err(failure) = check(&summary, output.rejected(), config, refused) {
        atomic::rename(&folder.path().join(names::REJECTED), refused)?;
        return Err(failure);
    }
    warn(&summary, config);
    if config.audit {
        tell(&output.audit(&pairs)?);
    }
    Ok(summary)
}

fn reject_copies(source: &dyn Source, selection: &Selection, output: &mut Output) {
    let path = |index: u32| source.entry(index as usize).path;
    for (copy, used) in &selection.duplicates {
        output.reject(path(*copy), Fault::duplicate_of(&path(*used)));
    }
    for (file, opposite) in &selection.conflicts {
        output.reject(path(*file), Fault::conflicts_with(&path(*opposite)));
    }
}

/// Looks at all pictures, and keeps one of those that are nearly the same.
fn without_near_duplicates(
    source: &dyn Source,
    used: Vec<Used>,
    config: &Config,
    output: &mut Output,
) -> Result<Vec<Used>, Error> {
    let observe = |file: &Used| (file.index, image::observe(source, file, config));
    let mut observed: Vec<(u32, Observation)> = Vec::new();
    in_order("ingest: comparing", &used, config, observe, |(index, observation)| {
        observed.extend(observation.map(|observation| (index, observation)));
        Ok::<_, Error>(())
    })?;
    let images: Vec<&Observation> = observed.iter().map(|(_, observation)| observation).collect();
    let dropped = to_drop(&images, &near_duplicates(&images));
    let dropped: BTreeSet<u32> = dropped.into_iter().map(|image| observed[image].0).collect();
    for index in &dropped {
        output.reject(source.entry(*index as usize).path, Fault::near_duplicate());
    }
    Ok(used.into_iter().filter(|file| !dropped.contains(&file.index)).collect())
}

/// Stops where so much is unusable that the rest cannot be trusted to be what was meant.
fn check(summary: &IngestSummary, rejected: &[Rejected], config: &Config, refused: &Path) -> Result<(), Failure> {
    let share = unusable_share(summary);
    if share <= config.max_rejected && !summary.splits.is_empty() {
        return Ok(());
    }
    let unusable = rejected.iter().filter(|row| reject::is_fault(&row.reason));
    let examples: Vec<String> = unusable.take(EXAMPLES).map(|row| format!("`{}`: {}", row.path, row.detail)).collect();
    Err(Failure::input(format!(
        "{:.1}% of the images cannot be used ({}), and ingest.max_rejected = {} allows no more than {:.1}%; all are listed in `{}`; {}",
        100.0 * share,
        reasons(summary),
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
    let (seen, expected) = (summary.seen, config.expected.values().sum::<u64>());
    if expected > 0 && seen != expected {
        progress::line(&format!(
            "ingest: warning: the source has {seen} images, and not {expected} as in ingest.expected"
        ));
    }
}

/// How many of each reason there are.
fn reasons(summary: &IngestSummary) -> String {
    let counts = summary.rejected_by_reason.iter().map(|(reason, count)| format!("{count} {reason}"));
    counts.collect::<Vec<_>>().join(", ")
}

/// Says what the audit found.
fn tell(audit: &Audit) {
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
        text += &format!("; not used: {} (see {})", reasons(summary), names::REJECTED);
    }
    text
}
