//! Backups of replaced training runs (`.run-0.aside`). A training may have taken days, so it is renamed rather than
//! deleted.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use artifacts::schema::Epoch;
use artifacts::text::shell_word;
use artifacts::{Error, Manifest, atomic, names, progress};

/// Renames `folder`, which holds a training of the run `target`, to a free backup name. Returns its new path.
pub(crate) fn set_aside(target: &Path, folder: &Path) -> Result<PathBuf, Error> {
    let backup = free_name(target);
    atomic::rename(folder, &backup)?;
    Ok(backup)
}

/// Returns the first free name for a backup of the run `target`.
pub(crate) fn free_name(target: &Path) -> PathBuf {
    free_names(target).next().unwrap_or_default()
}

/// Returns the free names for backups of the run `target`, in the order in which they are used.
pub(crate) fn free_names(target: &Path) -> impl Iterator<Item = PathBuf> {
    let others = (1..).map(|n| atomic::hidden_sibling(target, &format!("{}-{n}", names::ASIDE)));
    std::iter::once(first_name(target)).chain(others).filter(|name| !name.exists())
}

/// Describes the path and size of a backup, and the total size of all backups of the run `target`.
pub(crate) fn describe(target: &Path, backup: &Path) -> String {
    let bytes = |folder: &Path| atomic::folder_bytes(folder).unwrap_or_default();
    let text = format!("it is kept as `{}` ({}) until you delete it", backup.display(), progress::bytes(bytes(backup)));
    let all = all_backups(target).unwrap_or_default();
    if all.len() < 2 {
        return text;
    }
    let sum = all.iter().map(|folder| bytes(folder)).sum();
    format!("{text}; this run now has {} backups of {} in total", all.len(), progress::bytes(sum))
}

/// Returns a warning that the training in `folder` of the run `target` will be renamed to `backup`, with the reason,
/// the cost of the training, and commands to keep or restore it. `undo` is a command that avoids the replacement.
pub(crate) fn replacement_warning(
    target: &Path,
    folder: &Path,
    backup: &Path,
    reason: &str,
    undo: Option<&str>,
) -> String {
    let finished = folder.join(names::MANIFEST).exists();
    let (kind, when) = if finished { ("finished", ", when its successor is complete") } else { ("unfinished", "") };
    let keep = undo.map(|command| format!("to keep using it, stop now and run `{command}`; ")).unwrap_or_default();
    format!(
        "train: the {kind} training `{}` ({}) will be set aside{when}, because {reason}\n\
         train: {keep}to get it back later, run `{}` and restore its settings and data",
        folder.display(),
        Cost::of(folder),
        restore_command(target, backup),
    )
}

/// Returns the shell command that restores a backup, and keeps the current training of the run `target` as another
/// backup.
fn restore_command(target: &Path, backup: &Path) -> String {
    let other = free_names(target).find(|name| name != backup).unwrap_or_default();
    let [target, backup, other] = [target, backup, &other].map(|path| shell_word(&path.to_string_lossy()));
    format!("mv {target} {other} && mv {backup} {target}")
}

/// The cost of a training: epochs, time and disk space.
pub(crate) struct Cost {
    epochs: usize,
    seconds: f64,
    bytes: u64,
}

impl Cost {
    /// Reads the cost of the training in a folder from its history, or from its manifest if there is no history.
    /// Unreadable values count as 0.
    pub(crate) fn of(folder: &Path) -> Cost {
        let rows: Vec<Epoch> = atomic::read_lines(&folder.join(names::HISTORY), "training history").unwrap_or_default();
        let seconds = match rows.is_empty() {
            true => Manifest::read(folder).ok().flatten().map_or(0.0, |manifest| manifest.seconds),
            false => rows.iter().map(|row| row.train_seconds + row.val_seconds).sum(),
        };
        Cost { epochs: rows.len(), seconds, bytes: atomic::folder_bytes(folder).unwrap_or_default() }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.epochs == 1 { "epoch" } else { "epochs" };
        let time = match self.seconds {
            seconds if seconds >= 3600.0 => format!("{:.1} hours", seconds / 3600.0),
            seconds if seconds >= 60.0 => format!("{:.1} minutes", seconds / 60.0),
            seconds => format!("{seconds:.0} s"),
        };
        write!(f, "{} {noun}, {time}, {}", self.epochs, progress::bytes(self.bytes))
    }
}

fn first_name(target: &Path) -> PathBuf {
    atomic::hidden_sibling(target, names::ASIDE)
}

/// Lists all backups of the run `target`.
fn all_backups(target: &Path) -> io::Result<Vec<PathBuf>> {
    let first = first_name(target);
    let name = first.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in fs::read_dir(target.parent().unwrap_or(Path::new(".")))? {
        let entry = entry?;
        let rest = entry.file_name().to_string_lossy().strip_prefix(&name).map(str::to_owned);
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(folder: &Path, bytes: usize) {
        fs::create_dir_all(folder.join("last")).unwrap();
        fs::write(folder.join("last").join("weights"), vec![0; bytes]).unwrap();
    }

    #[test]
    fn describes_number_and_size_of_backups() {
        let dir = tempfile::tempdir().unwrap();
        let (target, other) = (dir.path().join("run-1"), dir.path().join(".run-1.next"));
        let set_aside = |bytes: usize| {
            fill(&other, bytes);
            describe(&target, &set_aside(&target, &other).unwrap())
        };
        // A backup of another run.
        fs::create_dir(dir.path().join(".run-10.aside")).unwrap();
        let one = set_aside(1_500);
        assert!(one.contains(".run-1.aside` (1.5 kB)") && !one.contains("in total"), "{one}");
        let two = set_aside(12_000);
        assert!(two.contains(".run-1.aside-1` (12 kB)"), "{two}");
        assert!(two.ends_with("this run now has 2 backups of 14 kB in total"), "{two}");
    }

    #[test]
    fn warning_has_cost_and_commands_to_keep_and_restore() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("my runs").join("run-0");
        fill(&target, 1_500);
        let row = r#"{"epoch":1,"step":7,"learning_rate":1e-4,"train_loss":0.5,"train_accuracy":0.5,"val_loss":0.5,
            "val_accuracy":0.5,"val_roc_auc":null,"best":true,"train_seconds":5400.0,"val_seconds":360.0,
            "images_per_second":1.0}"#;
        fs::write(target.join(names::HISTORY), row.replace('\n', "")).unwrap();
        let backup = free_name(&target);
        let text = replacement_warning(
            &target,
            &target,
            &backup,
            "seed: 0 -> 1",
            Some("cargo xtask train --set train.seed=0"),
        );
        assert!(text.contains("(1 epoch, 1.6 hours, 1.7 kB)") && text.contains("because seed: 0 -> 1"), "{text}");
        assert!(text.contains("stop now and run `cargo xtask train --set train.seed=0`"), "{text}");
        let parent = target.parent().unwrap().display();
        let command =
            format!("mv '{parent}/run-0' '{parent}/.run-0.aside-1' && mv '{parent}/.run-0.aside' '{parent}/run-0'");
        assert!(text.contains(&command), "{text}");
    }
}
