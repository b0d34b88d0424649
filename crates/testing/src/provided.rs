//! Looks for what tests need, and skips the running test where it is absent.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::need::Need;
use crate::record::skip;

/// The environment variable with the path of a Python that has the peers (`xtask/peers/requirements.txt`).
const PEER_PYTHON: &str = "CANDLING_PEER_PYTHON";

/// The path of a file or folder in `shared` beside the checkout, such as `data/faces`; `None`, with the test skipped,
/// where it is absent.
#[track_caller]
pub fn shared(path: &str) -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    if shared.exists() {
        return Some(shared);
    }
    skip(Need::Shared, format_args!("there is no shared/{path} beside the checkout"));
    None
}

/// A Python with PyTorch, torchvision and safetensors; `None`, with the test skipped, where none is named.
#[track_caller]
pub fn peer_python() -> Option<PathBuf> {
    let python = std::env::var_os(PEER_PYTHON).map(PathBuf::from);
    if python.is_none() {
        skip(Need::Peers, format_args!("{PEER_PYTHON} is not set"));
    }
    python
}

/// Makes named pipes at these paths; `false`, with the test skipped, where `mkfifo` is absent or fails.
#[track_caller]
pub fn make_fifos(paths: &[&Path]) -> bool {
    match Command::new("mkfifo").args(paths).status() {
        Ok(status) if status.success() => return true,
        Ok(status) => skip(Need::Mkfifo, format_args!("mkfifo failed: {status}")),
        Err(error) => skip(Need::Mkfifo, format_args!("failed to start mkfifo: {error}")),
    }
    false
}
