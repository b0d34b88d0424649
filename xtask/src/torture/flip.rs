//! Damages a file of a finished run, removes the later artifacts, and runs the pipeline again.
//!
//! The pipeline must either make the damaged artifact again, or refuse it and name the file, or not read it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use artifacts::progress::Progress;
use artifacts::random::{Stream, stream};
use artifacts::stage::Failure;
use artifacts::{RunDir, names};
use rand::RngExt;

use super::Findings;
use super::place::Place;

/// Damages `rounds` files, each in a copy of the undisturbed run.
///
/// # Errors
/// The files cannot be copied, or the pipeline cannot be started.
pub(super) fn rounds(place: &Place, rounds: u64, seed: u64) -> Result<Findings, Failure> {
    let mut found = Findings::default();
    let progress = Progress::new("torture: flip", "files", Some(rounds));
    let run = place.run("damaged");
    for round in 0..rounds {
        let mut random = stream(seed, "flip", &[round]);
        copy(place.whole().path(), run.path()).map_err(Failure::failed)?;
        let mut files = Vec::new();
        list(run.path(), &mut files).map_err(Failure::failed)?;
        files.sort();
        let file = &files[random.random_range(0..files.len())];
        let damage = damage(file, &mut random).map_err(Failure::failed)?;
        remove_later(&run, file).map_err(Failure::failed)?;
        let end = place.pipeline(&run, &[])?;
        let shown = file.strip_prefix(run.path()).unwrap_or(file).display();
        let mut fail = |reason: &str| found.failures.push(format!("round {round}: {shown} {damage}: {reason}"));
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let has_no_digest = matches!(name.as_str(), names::MANIFEST | names::RUN_TOML);
        match end.code {
            // A changed digit of a duration, for example, cannot be noticed.
            Some(0) if has_no_digest => found.count("changes without effect in files that have no digest"),
            Some(0) if place.difference(&run, None).is_none() => found.count("files made again"),
            Some(0) => match place.difference(&run, Some(file)) {
                None => found.count("damaged files that no stage reads"),
                Some(difference) => fail(&difference),
            },
            Some(1..=3) if end.messages.contains(&name) || has_no_digest => found.count("files refused by name"),
            Some(1..=3) => fail(&format!("the message does not name the file:\n{}", end.messages)),
            _ => fail(&format!("the pipeline ended with {:?}:\n{}", end.code, end.messages)),
        }
        fs::remove_dir_all(run.path()).map_err(Failure::failed)?;
        progress.add(1);
    }
    progress.clear();
    Ok(found)
}

/// Copies a run. The files are links, which are replaced and never written to.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::hard_link(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Lists the files below a folder that have content.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            list(&entry.path(), files)?;
        } else if entry.metadata()?.len() > 0 {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Replaces a file by one with a flipped bit, or by its beginning. Returns what was done.
fn damage(file: &Path, random: &mut Stream) -> io::Result<String> {
    let mut bytes = fs::read(file)?;
    let at = random.random_range(0..bytes.len());
    let text = if random.random() {
        bytes[at] ^= 1 << random.random_range(0..8);
        format!("with another bit in byte {at}")
    } else {
        bytes.truncate(at);
        format!("cut off after {at} bytes")
    };
    // The file is a link to that of the undisturbed run.
    fs::remove_file(file)?;
    fs::write(file, bytes)?;
    Ok(text)
}

/// Removes the artifacts that are made from the one that has the file, so that it is read again.
fn remove_later(run: &RunDir, file: &Path) -> io::Result<()> {
    let stages = [names::INGEST, names::TRAIN, names::EVALUATE, names::REPORT];
    let Some(stage) = stages.iter().position(|stage| file.starts_with(run.stage(stage))) else { return Ok(()) };
    for later in &stages[stage + 1..] {
        match fs::remove_dir_all(run.stage(later)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
