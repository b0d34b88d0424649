//! The process that runs the readers. It may crash.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use artifacts::Error;
use artifacts::stage::Failure;

use crate::Args;
use crate::corpus::Corpus;
use crate::target::Target;

/// The most memory of the process, in bytes.
#[cfg(unix)]
const MAX_MEMORY: u64 = 2 << 30;

/// Feeds the inputs from `case` on to the readers, one after another, for a time. Writes the number of each case to the
/// file `progress` before the case.
pub(crate) fn run(
    targets: &[Target],
    args: &Args,
    case: u64,
    milliseconds: u64,
    progress: &Path,
) -> Result<(), Failure> {
    limit_memory()?;
    let folder = tempfile::tempdir().map_err(Failure::failed)?;
    let mut file = File::create(progress).map_err(Error::io("create", progress))?;
    let end = Instant::now() + Duration::from_millis(milliseconds);
    for target in targets {
        let corpus = Corpus::new(*target, &args.corpus)?;
        for case in case.. {
            file.rewind().and_then(|()| file.write_all(&case.to_le_bytes())).map_err(Error::io("write", progress))?;
            if Instant::now() >= end {
                break;
            }
            target.feed(&corpus.input(args.seed, case), folder.path())?;
        }
    }
    Ok(())
}

/// Feeds one file to the readers.
pub(crate) fn replay(targets: &[Target], file: &Path) -> Result<(), Failure> {
    let input = fs::read(file).map_err(Error::io("read", file))?;
    let folder = tempfile::tempdir().map_err(Failure::failed)?;
    targets.iter().try_for_each(|target| target.feed(&input, folder.path()))
}

/// Limits the memory of this process, so that a reader that allocates without limit is ended.
#[cfg(unix)]
fn limit_memory() -> Result<(), Failure> {
    use rustix::process::{Resource, Rlimit, setrlimit};

    setrlimit(Resource::As, Rlimit { current: Some(MAX_MEMORY), maximum: Some(MAX_MEMORY) }).map_err(Failure::failed)
}

#[cfg(not(unix))]
fn limit_memory() -> Result<(), Failure> {
    Ok(())
}
