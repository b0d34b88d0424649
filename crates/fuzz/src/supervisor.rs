//! The process that starts the worker, notices its crashes and hangs, and saves the inputs that caused them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use artifacts::hash::Hash;
use artifacts::stage::Failure;
use artifacts::{Error, progress};

use crate::Args;
use crate::corpus::Corpus;
use crate::target::Target;

/// A case that takes longer is a hang.
const MAX_CASE: Duration = Duration::from_secs(10);
/// A target with this many failures is not run further.
const MAX_FAILURES: usize = 10;

/// Runs all targets for an equal share of the time.
///
/// # Errors
/// A reader failed, or the worker cannot be started.
pub(crate) fn run(targets: &[Target], args: &Args) -> Result<(), Failure> {
    let share = Duration::from_secs(args.seconds) / targets.len().max(1) as u32;
    let (mut cases, mut saved) = (0, Vec::new());
    for target in targets {
        let result = run_target(*target, args, share)?;
        let failures = result.saved.len();
        progress::line(&format!("fuzz: {:<12} {:>10} cases, {failures} failures", target.name(), result.cases));
        cases += result.cases;
        saved.extend(result.saved);
    }
    progress::line(&format!("fuzz: {cases} cases with seed {}", args.seed));
    if saved.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = saved.iter().map(|path| format!("\n  {}", path.display())).collect();
    Err(Failure::failed(format!(
        "{} inputs made a reader fail; repeat one with `candling-fuzz --target NAME --replay FILE`:{}",
        saved.len(),
        list.concat()
    )))
}

/// The result of one target.
struct TargetResult {
    cases: u64,
    /// The saved inputs that made the reader fail.
    saved: Vec<PathBuf>,
}

fn run_target(target: Target, args: &Args, time: Duration) -> Result<TargetResult, Failure> {
    let corpus = Corpus::new(target, &args.corpus)?;
    let place = tempfile::tempdir().map_err(Failure::failed)?;
    let current = place.path().join("case");
    let end = Instant::now() + time;
    let mut result = TargetResult { cases: 0, saved: Vec::new() };
    while result.saved.len() < MAX_FAILURES {
        let left = end.saturating_duration_since(Instant::now());
        let mut worker = start(target, args, result.cases, left, &current, place.path())?;
        let ended = wait(&mut worker, &current)?;
        let case = read_case(&current).unwrap_or(result.cases);
        let reason = match ended {
            Some(status) if status.success() => {
                result.cases = case;
                break;
            }
            Some(status) => status.to_string(),
            None => format!("it took longer than {} s", MAX_CASE.as_secs()),
        };
        let saved = save(target, &corpus.input(args.seed, case), &args.out)?;
        progress::line(&format!("fuzz: {}: case {case} failed: {reason}; see {}", target.name(), saved.display()));
        result.cases = case + 1;
        result.saved.push(saved);
    }
    Ok(result)
}

/// Starts the worker. It keeps its files in `place`, so that they are removed if it crashes.
fn start(
    target: Target,
    args: &Args,
    case: u64,
    time: Duration,
    current: &Path,
    place: &Path,
) -> Result<Child, Failure> {
    let mut command = Command::new(std::env::current_exe().map_err(Failure::failed)?);
    command.args(["--target", target.name(), "--seed", &args.seed.to_string(), "--corpus"]).arg(&args.corpus);
    command.args(["--worker", &case.to_string(), &time.as_millis().to_string()]).arg(current);
    // Every thread reserves address space, which is limited.
    command.env("RAYON_NUM_THREADS", "1").env("TMPDIR", place);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(Failure::failed)
}

/// Waits for the worker to end. Kills it and returns `None` if a case takes too long.
fn wait(worker: &mut Child, current: &Path) -> Result<Option<ExitStatus>, Failure> {
    let (mut case, mut since) = (None, Instant::now());
    loop {
        if let Some(status) = worker.try_wait().map_err(Failure::failed)? {
            return Ok(Some(status));
        }
        let now = read_case(current);
        if now != case {
            (case, since) = (now, Instant::now());
        } else if since.elapsed() > MAX_CASE {
            worker.kill().map_err(Failure::failed)?;
            worker.wait().map_err(Failure::failed)?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Reads the number of the current case.
fn read_case(current: &Path) -> Option<u64> {
    Some(u64::from_le_bytes(*fs::read(current).ok()?.first_chunk()?))
}

/// Saves an input under its hash.
fn save(target: Target, input: &[u8], out: &Path) -> Result<PathBuf, Failure> {
    fs::create_dir_all(out).map_err(Error::io("create", out))?;
    let path = out.join(format!("{}-{}", target.name(), Hash::of(input).short()));
    artifacts::atomic::write_file(&path, input)?;
    Ok(path)
}
