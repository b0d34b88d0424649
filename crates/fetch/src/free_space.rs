//! Free disk space.

use std::path::Path;

/// Returns the number of bytes that this user can still write on the file system of `folder`, which need not exist yet.
/// Returns `None` if the system does not report it.
pub fn free_space(folder: &Path) -> Option<u64> {
    folder.ancestors().find(|dir| dir.is_dir()).and_then(|dir| fs4::available_space(dir).ok())
}
