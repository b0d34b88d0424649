//! Kills the pipeline at random moments, again and again, until it ends by itself.

use std::fs;
use std::io;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use artifacts::progress::Progress;
use artifacts::random::stream;
use artifacts::stage::Failure;
use rand::RngExt;

use super::Findings;
use super::place::{Place, half_written};

/// Kills the pipeline `rounds` times: half of the times with its stage, as when the power fails, and half of the times
/// without, as when a terminal is killed. A run that ends by itself is compared, and replaced by a new one.
///
/// # Errors
/// The pipeline cannot be started or killed.
pub(super) fn rounds(place: &Place, rounds: u64, seed: u64) -> Result<Findings, Failure> {
    let mut found = Findings::default();
    let progress = Progress::new("torture: kill", "kills", Some(rounds));
    let run = place.run("killed");
    let (mut kills, mut attempt) = (0, 0);
    // After the last kill, the run must be able to go on to its end.
    let mut is_last = false;
    while !is_last {
        let mut random = stream(seed, "kill", &[attempt]);
        attempt += 1;
        let delay = place.duration.mul_f64(random.random());
        let mut child = place.command(&run)?.spawn().map_err(Failure::failed)?;
        let limit = if kills == rounds { None } else { Some(delay) };
        let Some(status) = wait(&mut child, limit).map_err(Failure::failed)? else {
            if random.random() {
                kill_with_children(&mut child)?;
            } else {
                child.kill().and_then(|()| child.wait()).map_err(Failure::failed)?;
            }
            kills += 1;
            progress.add(1);
            found.count("kills");
            found.failures.extend(half_written(&run).map(|reason| format!("after kill {kills}: {reason}")));
            continue;
        };
        let end = place.end(status);
        if let Some(stage) = named_process(&end.messages).filter(|_| end.code == Some(1)) {
            found.count("stages that outlived the pipeline, named by the next one and killed");
            kill(stage)?;
            continue;
        }
        let reason = if end.code == Some(0) {
            found.count("finished runs compared");
            place.difference(&run, None)
        } else {
            Some(format!("the pipeline ended with {status}:\n{}", end.messages))
        };
        found.failures.extend(reason.map(|reason| format!("after kill {kills}: {reason}")));
        is_last = kills == rounds;
        fs::remove_dir_all(run.path()).map_err(Failure::failed)?;
    }
    progress.clear();
    Ok(found)
}

/// Waits for the end of a process, at most for some time.
fn wait(child: &mut Child, limit: Option<Duration>) -> io::Result<Option<ExitStatus>> {
    let Some(limit) = limit else { return child.wait().map(Some) };
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(None)
}

/// Kills a process and its children, as far as the system lists them.
fn kill_with_children(child: &mut Child) -> Result<(), Failure> {
    let pid = child.id();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    child.kill().map_err(Failure::failed)?;
    for stage in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
        kill(stage)?;
    }
    child.wait().map_err(Failure::failed)?;
    Ok(())
}

/// Returns the process that a message names as the one that works in the run.
fn named_process(messages: &str) -> Option<i32> {
    let (_, rest) = messages.split_once("as process ")?;
    rest.split_once(';')?.0.parse().ok()
}

/// Kills a process that may have ended.
#[cfg(unix)]
fn kill(pid: i32) -> Result<(), Failure> {
    use rustix::process::{Pid, Signal, kill_process};

    match Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::KILL)) {
        Some(Err(error)) if error != rustix::io::Errno::SRCH => Err(Failure::failed(error)),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn kill(pid: i32) -> Result<(), Failure> {
    Err(Failure::failed(format!("process {pid} still works in the run; end it")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_named_process() {
        let message = "train: error: another process is running train in `x` as process 166; wait for it, end it";
        assert_eq!(named_process(message), Some(166));
        assert_eq!(named_process("another process is running train in `x`; wait for it"), None);
    }
}
