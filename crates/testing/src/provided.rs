//! Functions that return what a test needs, or skip the running test if the machine lacks it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::need::Need;
use crate::record::skip;

/// The environment variable with the path of a Python that has the packages in `xtask/peers/requirements.txt`.
const PEER_PYTHON: &str = "CANDLING_PEER_PYTHON";

/// Returns the path of a file or folder in `shared` beside the checkout, such as `data/faces`. If it does not exist,
/// skips the running test and returns `None`.
#[track_caller]
pub fn shared(path: &str) -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    if shared.exists() {
        return Some(shared);
    }
    skip(Need::Shared, format_args!("there is no shared/{path} beside the checkout"));
    None
}

/// Returns the path of a Python with PyTorch, torchvision and safetensors. If `CANDLING_PEER_PYTHON` is not set, skips
/// the running test and returns `None`.
#[track_caller]
pub fn peer_python() -> Option<PathBuf> {
    let python = std::env::var_os(PEER_PYTHON).map(PathBuf::from);
    if python.is_none() {
        skip(Need::Peers, format_args!("{PEER_PYTHON} is not set"));
    }
    python
}

/// Creates named pipes at these paths and returns `true`. If `mkfifo` does not exist or fails, skips the running test
/// and returns `false`.
#[track_caller]
pub fn make_fifos(paths: &[&Path]) -> bool {
    match Command::new("mkfifo").args(paths).status() {
        Ok(status) if status.success() => return true,
        Ok(status) => skip(Need::Mkfifo, format_args!("mkfifo failed: {status}")),
        Err(error) => skip(Need::Mkfifo, format_args!("failed to start mkfifo: {error}")),
    }
    false
}
