//! What is measured on, and with what.

use std::fs;
use std::process::Command;

use crate::programs::root;

/// The processor, its cores, memory and system: "AMD EPYC, 2 cores, 25 GB, Debian GNU/Linux 12".
pub(crate) fn describe() -> String {
    let processor = field("/proc/cpuinfo", "model name", ':').unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kilobytes =
        field("/proc/meminfo", "MemTotal", ':').and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    let memory = kilobytes.map(|kilobytes| format!("{:.0} GB", kilobytes * 1024.0 / 1e9));
    let system = field("/etc/os-release", "PRETTY_NAME", '=').unwrap_or_else(|| std::env::consts::OS.to_owned());
    let noun = if cores == 1 { "core" } else { "cores" };
    [Some(processor), Some(format!("{cores} {noun}")), memory, Some(system)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}

/// The version of the cards' driver.
pub(crate) fn driver() -> Option<String> {
    smi("--query-gpu=driver_version").and_then(|text| Some(text.lines().next()?.trim().to_owned()))
}

/// Programs that compute on a card at the moment: "1234 (python), 99 (train)".
pub(crate) fn company() -> Option<String> {
    shown(&smi("--query-compute-apps=pid,process_name")?)
}

/// What `nvidia-smi` lists, a comma between the values of a line.
fn smi(query: &str) -> Option<String> {
    let output = Command::new("nvidia-smi").args([query, "--format=csv,noheader"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Lines of `pid, name` for people; names without their folders, which are nobody else's business.
fn shown(listed: &str) -> Option<String> {
    let programs: Vec<String> = listed
        .lines()
        .filter_map(|line| line.split_once(','))
        .map(|(pid, name)| format!("{} ({})", pid.trim(), name.rsplit('/').next().unwrap_or_default().trim()))
        .collect();
    (!programs.is_empty()).then(|| programs.join(", "))
}

/// The commit, and whether the files are as it has them.
pub(crate) fn commit() -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).current_dir(root()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    match (git(&["rev-parse", "--short=12", "HEAD"]), git(&["status", "--porcelain", "--untracked-files=no"])) {
        (Some(commit), Some(changes)) if changes.is_empty() => commit,
        (Some(commit), _) => format!("{commit} with changes"),
        (None, _) => "unknown".to_owned(),
    }
}

/// The compiler's own description.
pub(crate) fn compiler() -> String {
    said(Command::new("rustc").arg("--version").current_dir(root()))
}

/// Today in UTC: "2026-11-24".
pub(crate) fn today() -> String {
    said(Command::new("date").args(["-u", "+%F"]))
}

/// What a program prints in one line.
fn said(command: &mut Command) -> String {
    let output = command.output();
    output.map_or_else(|_| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The first value of `name` in a file of lines `name<separator>value`, without quotes.
fn field(path: &str, name: &str, separator: char) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let mut pairs = text.lines().filter_map(|line| line.split_once(separator));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_on_a_card_are_shown_without_their_folders() {
        assert_eq!(shown("1234, /usr/bin/python3\n99, train\n").as_deref(), Some("1234 (python3), 99 (train)"));
        assert_eq!(shown("\n"), None);
    }

    #[test]
    fn a_machine_has_cores() {
        assert!(describe().contains("core"), "{}", describe());
    }
}
