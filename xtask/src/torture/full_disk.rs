//! Runs the pipeline on a file system that becomes full, then makes the file system larger and runs it again.
//!
//! The file system is in memory (tmpfs). It is mounted in a namespace of its own, for which Linux asks no privileges, so
//! that nothing else sees it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use artifacts::atomic;
use artifacts::progress::{Progress, line};
use artifacts::random::stream;
use artifacts::stage::Failure;
use orchestrator::process;
use rand::RngExt;

use super::Findings;
use super::place::{Place, half_written};

/// Starts [`rounds`] in a namespace of its own. Says so if this machine cannot make one.
///
/// # Errors
/// The errors of the rounds.
pub(super) fn run(place: &Place, rounds: u64, seed: u64) -> Result<(), Failure> {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount"]);
        command
    };
    let mut probe = unshare();
    probe.arg("true").stdout(Stdio::null()).stderr(Stdio::null());
    if !probe.status().is_ok_and(|status| status.success()) {
        line(
            "torture: full-disk: skipped, because this machine cannot make a file system without privileges (unshare)",
        );
        return Ok(());
    }
    let mut command = unshare();
    command.arg(std::env::current_exe().map_err(Failure::failed)?).arg("torture").arg("--prepared").arg(place.path());
    command.args(["--rounds", &rounds.to_string(), "--seed", &seed.to_string()]);
    process::run(&mut command)
}

/// Runs the pipeline on `rounds` file systems of random sizes.
///
/// # Errors
/// A file system cannot be made, or the pipeline cannot be started.
pub(super) fn rounds(place: &Place, rounds: u64, seed: u64) -> Result<Findings, Failure> {
    let mut found = Findings::default();
    let progress = Progress::new("torture: full-disk", "disks", Some(rounds));
    let needed = atomic::folder_bytes(place.whole().path()).map_err(Failure::failed)?;
    let disk = place.path().join("disk");
    fs::create_dir_all(&disk).map_err(Failure::failed)?;
    for round in 0..rounds {
        let share: f64 = stream(seed, "full disk", &[round]).random();
        mount(&disk, &["-t", "tmpfs", "none"], (needed as f64 * share) as u64)?;
        let run = artifacts::RunDir::new(disk.join("run"));
        let end = place.pipeline(&run, &[])?;
        let mut fail = |reason: String| found.failures.push(format!("round {round}: {reason}"));
        match end.code {
            // The largest disks may do: nothing of the undisturbed run is needed twice.
            Some(0) => {}
            Some(1 | 3) if end.messages.contains("space") => {}
            code => fail(format!("on the full disk, the pipeline ended with {code:?}:\n{}", end.messages)),
        }
        if let Some(reason) = half_written(&run) {
            fail(format!("on the full disk: {reason}"));
        }
        mount(&disk, &[], 4 * needed)?;
        let again = place.pipeline(&run, &[])?;
        let reason = if again.code == Some(0) { place.difference(&run, None) } else { Some(again.messages) };
        if let Some(reason) = reason {
            fail(format!("after the disk became larger: {reason}"));
        }
        found.count(if end.code == Some(0) { "disks that were large enough" } else { "full disks" });
        process::run(Command::new("umount").arg(&disk))?;
        progress.add(1);
    }
    progress.clear();
    Ok(found)
}

/// Mounts a file system of this size, or changes the size of the mounted one.
fn mount(disk: &Path, kind: &[&str], bytes: u64) -> Result<(), Failure> {
    let size = format!("size={}", bytes.max(1 << 16));
    let options = if kind.is_empty() { format!("remount,{size}") } else { size };
    process::run(Command::new("mount").args(["-o", &options]).args(kind).arg(disk))
}
