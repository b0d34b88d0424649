//! Checks relative paths that were read from files.

use std::path::{Component, Path};

/// Returns whether a path leads out of the folder that it is relative to.
pub(crate) fn leads_outside(path: &str) -> bool {
    !Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_absolute_paths_and_parents() {
        assert!(["/etc/passwd", "../a.png", "images/../../a.png"].into_iter().all(leads_outside));
        assert!(!leads_outside("images/000.png"));
    }
}
