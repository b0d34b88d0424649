//! Runs the jobs of a sweep, each in a run folder of its own.

use std::fs;
use std::path::Path;

use artifacts::stage::Failure;
use artifacts::{Manifest, RunDir, Split, atomic, names, progress};

use super::grid::Job;
use crate::args::{PipelineArgs, ShortOptions, StageName};
use crate::{Programs, pipeline};

/// The run with the shards and the features that all jobs share.
const DATA: &str = "data";

/// What all jobs have in common.
pub(super) struct Plan<'a> {
    pub(super) programs: &'a dyn Programs,
    /// The folder of the sweep.
    pub(super) folder: &'a Path,
    /// The pipeline file.
    pub(super) file: &'a Path,
    /// The overrides of all jobs.
    pub(super) fixed: &'a [String],
}

impl Plan<'_> {
    /// The run with the shards that all jobs share.
    pub(super) fn data(&self) -> RunDir {
        RunDir::new(self.folder.join(DATA))
    }

    /// Whether the shards exist.
    pub(super) fn is_ingested(&self) -> bool {
        Manifest::read(&self.data().ingest()).is_ok_and(|manifest| manifest.is_some())
    }

    /// Writes the shards that all jobs share.
    pub(super) fn ingest(&self) -> Result<(), Failure> {
        let mut args = PipelineArgs { until: StageName::Ingest, ..self.pipeline_args(&self.data(), &[]) };
        (args.set, _) = of_ingest_and_others(args.set)?;
        pipeline::run(self.programs, &args)
    }

    /// The generators of the training images, sorted.
    pub(super) fn generators(&self) -> Result<Vec<String>, Failure> {
        let manifest = Manifest::require(&self.data().ingest(), names::INGEST)?;
        let counts = &manifest.summary["splits"][Split::Train.name()]["generators"];
        let names = counts.as_object().into_iter().flat_map(|counts| counts.keys());
        Ok(names.filter(|name| !name.is_empty()).cloned().collect())
    }

    /// Runs the jobs that are not complete. Returns the names of those that failed. `shared`: all jobs have the same shards.
    pub(super) fn run(&self, jobs: &[Job], shared: bool) -> Result<Vec<String>, Failure> {
        let mut failed = Vec::new();
        for (number, job) in jobs.iter().enumerate() {
            let name = job.name();
            progress::line(&format!("sweep: job {} of {}: {name}", number + 1, jobs.len()));
            let run = RunDir::new(self.folder.join(&name));
            let mut args = self.pipeline_args(&run, &job.sets());
            if shared {
                self.share_data(&run)?;
                args.from = StageName::Train;
                (_, args.set) = of_ingest_and_others(args.set)?;
            }
            match pipeline::run(self.programs, &args) {
                Ok(()) => {}
                Err(stopped @ Failure::Stopped) => return Err(stopped),
                Err(failure) => {
                    progress::line(&format!("sweep: {name} failed: {}", failure.chain()));
                    failed.push(name);
                }
            }
        }
        Ok(failed)
    }

    fn pipeline_args(&self, run: &RunDir, sets: &[String]) -> PipelineArgs {
        PipelineArgs {
            name: self.file.to_string_lossy().into_owned(),
            set: [self.fixed, sets].concat(),
            short: ShortOptions::default(),
            processes: None,
            run_dir: Some(run.path().to_owned()),
            from: StageName::Ingest,
            until: StageName::Report,
            force: false,
            dry_run: false,
            json: false,
        }
    }

    /// Makes shards and features of the sweep those of a run, by links.
    fn share_data(&self, run: &RunDir) -> Result<(), Failure> {
        let data = self.data();
        fs::create_dir_all(run.path()).map_err(artifacts::Error::io("create", run.path()))?;
        fs::create_dir_all(data.features()).map_err(artifacts::Error::io("create", &data.features()))?;
        for (link, target) in [(run.ingest(), data.ingest()), (run.features(), data.features())] {
            if link.symlink_metadata().is_err() {
                let name = target.file_name().unwrap_or_default();
                link_folder(&Path::new("..").join(DATA).join(name), &link)?;
            }
        }
        // The section [ingest] describes the shards.
        if !run.config().exists() {
            let text = fs::read(data.config()).map_err(artifacts::Error::io("read", &data.config()))?;
            atomic::write_file(&run.config(), &text)?;
        }
        Ok(())
    }
}

/// Divides overrides into those for ingest and the others.
fn of_ingest_and_others(sets: Vec<String>) -> Result<(Vec<String>, Vec<String>), Failure> {
    let (mut of_ingest, mut others) = (Vec::new(), Vec::new());
    for set in sets {
        let is_of_ingest = StageName::of_set(&set)? == Some(StageName::Ingest);
        if is_of_ingest { &mut of_ingest } else { &mut others }.push(set);
    }
    Ok((of_ingest, others))
}

#[cfg(unix)]
fn link_folder(target: &Path, link: &Path) -> Result<(), Failure> {
    Ok(std::os::unix::fs::symlink(target, link).map_err(artifacts::Error::io("link", link))?)
}

#[cfg(windows)]
fn link_folder(target: &Path, link: &Path) -> Result<(), Failure> {
    Ok(std::os::windows::fs::symlink_dir(target, link).map_err(artifacts::Error::io("link", link))?)
}
