//! `cargo xtask torture`: kills a small pipeline, damages its files and fills its disk, and checks that no artifact is
//! half written and that a later run gives the result of an undisturbed one.

mod flip;
mod full_disk;
mod kill;
mod place;

use std::path::PathBuf;

use artifacts::names;
use artifacts::progress::line;
use artifacts::stage::Failure;
use clap::{Args, ValueEnum};

use self::place::Place;
use crate::build::{self, Features};

/// The arguments of `torture`.
#[derive(Debug, Args)]
pub(crate) struct TortureArgs {
    /// The number of kills, damaged files and full disks
    #[arg(long, value_name = "N", default_value_t = 100)]
    rounds: u64,
    /// The seed of moments and places
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Only this campaign; may be repeated
    #[arg(long, value_name = "NAME")]
    campaign: Vec<Campaign>,
    /// The prepared folder of the caller, which has made a file system of its own
    #[arg(long, hide = true)]
    prepared: Option<PathBuf>,
}

/// A kind of disturbance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Campaign {
    /// Kill the pipeline and its stage at a random moment
    Kill,
    /// Flip a bit of a file, or cut the file off
    Flip,
    /// Run on a file system that becomes full (Linux)
    FullDisk,
}

impl Campaign {
    fn name(self) -> &'static str {
        match self {
            Campaign::Kill => "kill",
            Campaign::Flip => "flip",
            Campaign::FullDisk => "full-disk",
        }
    }
}

/// What a campaign found.
#[derive(Debug, Default)]
struct Findings {
    /// What happened how often, in the order of the summary.
    counts: Vec<(&'static str, u64)>,
    /// What must not happen: the round and the reason.
    failures: Vec<String>,
}

impl Findings {
    fn count(&mut self, what: &'static str) {
        match self.counts.iter_mut().find(|(known, _)| *known == what) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((what, 1)),
        }
    }
}

/// Runs the campaigns.
///
/// # Errors
/// A campaign found a failure, or it cannot be run.
pub(crate) fn run(args: &TortureArgs) -> Result<(), Failure> {
    if let Some(folder) = &args.prepared {
        let place = Place::prepared(folder)?;
        return finish(&[(Campaign::FullDisk, full_disk::rounds(&place, args.rounds, args.seed)?)]);
    }
    build::programs(&names::STAGES, Features::plain())?;
    let place = Place::prepare()?;
    line(&format!("torture: an undisturbed pipeline takes {:.1} s", place.duration.as_secs_f64()));
    let all = Campaign::value_variants();
    let mut results = Vec::new();
    for campaign in if args.campaign.is_empty() { all } else { &args.campaign } {
        match campaign {
            Campaign::Kill => results.push((*campaign, kill::rounds(&place, args.rounds, args.seed)?)),
            Campaign::Flip => results.push((*campaign, flip::rounds(&place, args.rounds, args.seed)?)),
            // It prints its result itself.
            Campaign::FullDisk => full_disk::run(&place, args.rounds, args.seed)?,
        }
    }
    finish(&results)
}

/// Prints what the campaigns found.
fn finish(results: &[(Campaign, Findings)]) -> Result<(), Failure> {
    let mut failures = 0;
    for (campaign, found) in results {
        let counts: Vec<String> = found.counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
        for failure in &found.failures {
            line(&format!("torture: {}: {failure}", campaign.name()));
        }
        line(&format!("torture: {}: {}; {} failures", campaign.name(), counts.join(", "), found.failures.len()));
        failures += found.failures.len();
    }
    if failures > 0 { Err(Failure::failed(format!("torture found {failures} failures"))) } else { Ok(()) }
}
