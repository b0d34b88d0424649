//! Describes the machine, the commit and the tools of a measurement.

use std::fs;
use std::process::Command;

use crate::programs::root;

/// Returns the processor, its cores, the memory and the operating system: "AMD EPYC, 2 cores, 25 GB, Debian GNU/Linux
/// 12".
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

/// Returns the version of the NVIDIA driver.
pub(crate) fn driver() -> Option<String> {
    nvidia_smi("--query-gpu=driver_version").and_then(|text| Some(text.lines().next()?.trim().to_owned()))
}

/// Returns the processes that are using a card now: "1234 (python), 99 (train)".
pub(crate) fn card_processes() -> Option<String> {
    format_processes(&nvidia_smi("--query-compute-apps=pid,process_name")?)
}

/// Returns the output of `nvidia-smi` for a query: lines of values separated by commas.
fn nvidia_smi(query: &str) -> Option<String> {
    let output = Command::new("nvidia-smi").args([query, "--format=csv,noheader"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Formats lines of `pid, path`. Folders are omitted, because results are published.
fn format_processes(lines: &str) -> Option<String> {
    let processes: Vec<String> = lines
        .lines()
        .filter_map(|line| line.split_once(','))
        .map(|(pid, name)| format!("{} ({})", pid.trim(), name.rsplit('/').next().unwrap_or_default().trim()))
        .collect();
    (!processes.is_empty()).then(|| processes.join(", "))
}

/// Returns the commit, with a note if tracked files differ from it.
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

/// Returns the version of the Rust compiler.
pub(crate) fn compiler() -> String {
    output_of(Command::new("rustc").arg("--version").current_dir(root()))
}

/// Returns today's date in UTC: "2026-11-24".
pub(crate) fn today() -> String {
    output_of(Command::new("date").args(["-u", "+%F"]))
}

/// Returns the standard output of a program, without surrounding white space.
fn output_of(command: &mut Command) -> String {
    let output = command.output();
    output.map_or_else(|_| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Returns the value of the first line `name<separator>value` of a file, without quotes.
fn field(path: &str, name: &str, separator: char) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let mut pairs = text.lines().filter_map(|line| line.split_once(separator));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_processes_are_listed_without_folders() {
        assert_eq!(
            format_processes("1234, /usr/bin/python3\n99, train\n").as_deref(),
            Some("1234 (python3), 99 (train)")
        );
        assert_eq!(format_processes("\n"), None);
    }

    #[test]
    fn description_has_number_of_cores() {
        assert!(describe().contains("core"), "{}", describe());
    }
}
