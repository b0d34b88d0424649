//! `cargo xtask bench`: measures the speed and memory of Candling and of its peers (PyTorch, onnxruntime, Pillow …).
//!
//! `cases` creates the cases from the arguments. A `case` has a `measured_program` for Candling and one for each peer.
//! Each is a separate process that prints JSON lines (`measurement`). A round runs them in turn, and there are several
//! rounds. `performance_page` formats the results.

mod args;
mod case;
mod cases;
mod filter;
mod jpeg_set;
mod machine;
mod measured_program;
mod measurement;
mod options;
mod performance_page;
mod programs;
mod result_name;
mod statistics;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use artifacts::failure::{Failure, print_text};
use artifacts::{atomic, progress};

pub(crate) use self::args::BenchArgs;
use self::case::{Case, Row};
use self::filter::Filter;
use self::options::{Device, Malloc, Part};
use crate::programs::root;

pub(crate) fn run(args: &BenchArgs) -> Result<(), Failure> {
    cases::check_filters(args)?;
    if args.device == Device::Cuda {
        programs::check_card()?;
    }
    let target = page_to_update(args)?;
    programs::build(args.device)?;
    let mut cases = cases::cases(args)?;
    let other_processes = match args.device {
        Device::Cpu => || None,
        Device::Cuda => machine::card_processes,
    };
    for round in 0..args.rounds {
        for case in &mut cases {
            case.measure(round, args.malloc, other_processes);
            progress::line(&format!("round {}/{}: {}", round + 1, args.rounds, last_round(case)));
        }
    }

    let rows = rows(args, &cases);
    let section = performance_page::section(&conditions(args, &cases), &rows);
    print_text(&section)?;
    if let Some(file) = &args.json {
        atomic::write_json(file, &rows).map_err(Failure::failed)?;
    }
    if let Some((path, page)) = target {
        let page = performance_page::replace_section(&page, args.device.name(), &section).map_err(Failure::failed)?;
        atomic::write_file(&path, page.as_bytes()).map_err(Failure::failed)?;
        progress::line(&format!("wrote {}", path.display()));
    }
    match cases.iter().find_map(|case| case.ours.values().is_empty().then_some(&case.ours)) {
        // The tables note programs that failed. It is an error only if all of Candling's programs failed.
        Some(failed) if rows.iter().all(|row| row.ours.is_none()) => {
            Err(Failure::failed(format!("all of Candling's programs failed: {}", failed.failure().unwrap_or_default())))
        }
        _ => check_selected(args, &cases),
    }
}

/// Checks that every value of `--only` selected a result. Some names of results are known only after the measurement,
/// because they are in the programs' output.
fn check_selected(args: &BenchArgs, cases: &[Case]) -> Result<(), Failure> {
    let results: Vec<(&Case, Row)> =
        cases.iter().flat_map(|case| case.rows(|_| None).into_iter().map(move |row| (case, row))).collect();
    let selects_nothing =
        |filter: &&Filter| !results.iter().any(|(case, row)| filter.selects(case.part, &case.name, &row.name));
    match args.only.iter().find(selects_nothing) {
        None => Ok(()),
        Some(filter) => {
            let names: Vec<&str> = results.iter().map(|(_, row)| row.name.as_str()).collect();
            Err(Failure::usage(format!("--only names {filter}, but the measured results are {}", names.join(", "))))
        }
    }
}

/// Returns the path and the text of the page to update, if any. Reads the page before the measurement, so that a page
/// without the device's section fails at once.
fn page_to_update(args: &BenchArgs) -> Result<Option<(PathBuf, String)>, Failure> {
    let path = match &args.page {
        Some(path) => path.clone(),
        None if args.only.is_empty() => root().join("docs").join("performance.md"),
        None => return Ok(None),
    };
    let page = match fs::read_to_string(&path) {
        Ok(page) => page,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => performance_page::EMPTY.to_owned(),
        Err(error) => return Err(Failure::usage(format!("failed to read {}: {error}", path.display()))),
    };
    performance_page::replace_section(&page, args.device.name(), "")
        .map_err(|error| Failure::usage(format!("failed to use {}: {error}", path.display())))?;
    Ok(Some((path, page)))
}

/// Returns all selected results, with their shares of the peaks that this run measured.
fn rows(args: &BenchArgs, cases: &[Case]) -> Vec<Row> {
    let none = |_: &str| None;
    let peaks: Vec<Row> =
        cases.iter().filter(|case| case.part == Part::Peak).flat_map(|case| case.rows(none)).collect();
    let peak = |name: &str| {
        let row = peaks.iter().find(|row| row.name.ends_with(&format!(".peak.{name}")))?;
        row.ours.map(|gigaflops| gigaflops * 1e9)
    };
    let selected = |case: &Case, row: &Row| {
        args.only.is_empty() || args.only.iter().any(|filter| filter.selects(case.part, &case.name, &row.name))
    };
    cases.iter().flat_map(|case| case.rows(peak).into_iter().filter(move |row| selected(case, row))).collect()
}

/// Returns the machine, the programs and the settings of the measurement, as names and values.
fn conditions(args: &BenchArgs, cases: &[Case]) -> Vec<(&'static str, String)> {
    let first = |case: &Case| case.ours.first().and_then(|first| first.device.clone());
    let device = cases.iter().find_map(first).unwrap_or_else(|| args.device.name().to_owned());
    let peers = cases.iter().flat_map(|case| &case.peers).filter_map(|peer| Some(peer.first()?.program.clone()));
    let peers: BTreeSet<String> = peers.filter(|name| !name.is_empty()).collect();
    let malloc = match args.malloc {
        Malloc::Tuned => "glibc keeps large blocks and uses huge pages, in all programs",
        Malloc::Default => "the system's default, in all programs",
    };
    let peers = if peers.is_empty() { "none".to_owned() } else { peers.into_iter().collect::<Vec<_>>().join("; ") };
    let driver = (args.device == Device::Cuda).then(machine::driver).flatten();
    let mut conditions = vec![("machine", machine::describe()), ("device", device)];
    conditions.extend(driver.map(|version| ("driver", version)));
    conditions.extend([
        ("peers", peers),
        ("date", machine::today()),
        ("command", format!("`{}`", command_line(std::env::args().skip(1)))),
        ("rounds", format!("{}, each measurement {} s", args.rounds, args.seconds)),
        ("malloc", malloc.to_owned()),
        ("code", format!("{} ({})", machine::commit(), machine::compiler())),
    ]);
    conditions
}

/// Returns the command line, with placeholders for paths of this machine.
fn command_line(words: impl Iterator<Item = String>) -> String {
    const REPLACED: [(&str, &str); 4] =
        [("--peer-python", " PYTHON"), ("--images", " FOLDER"), ("--json", ""), ("--page", "")];
    let mut shown = "cargo xtask".to_owned();
    let mut words = words;
    while let Some(word) = words.next() {
        let name = word.split('=').next().unwrap_or_default();
        match REPLACED.iter().find(|(option, _)| *option == name) {
            None => shown += &format!(" {word}"),
            Some((option, placeholder)) => {
                if !word.contains('=') {
                    words.next();
                }
                if !placeholder.is_empty() {
                    shown += &format!(" {option}{placeholder}");
                }
            }
        }
    }
    shown
}

/// Formats the values of a case's last round in one line.
fn last_round(case: &Case) -> String {
    let programs = std::iter::once(&case.ours).chain(&case.peers).map(|program| {
        match (program.failure(), program.rounds().last()) {
            (Some(reason), _) => format!("{}: {reason}", program.name),
            (None, Some(round)) => match round.as_slice() {
                [one] => format!("{} {:.2} {}", program.name, one.value, one.unit),
                several => format!("{} {} values", program.name, several.len()),
            },
            (None, None) => program.name.clone(),
        }
    });
    format!("{}: {}", case.name, programs.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn filter_selects_rows_of_a_case() {
        use clap::Parser;

        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            bench: BenchArgs,
        }

        let lines = "{\"name\":\"conv1\",\"gflops\":3}\n{\"name\":\"fc\",\"gflops\":4}";
        let ours = measured_program::MeasuredProgram::new("layers", ["printf", "%s\\n", lines]);
        let mut case = Case { part: Part::Layers, name: "cpu.layer.b8".to_owned(), ours, peers: vec![], limit: None };
        case.measure(0, Malloc::Default, || None);
        let cases = [case];
        for (filter, expected) in [
            ("cpu.layer", vec!["cpu.layer.b8.conv1", "cpu.layer.b8.fc"]),
            ("cpu.layer.b8.fc", vec!["cpu.layer.b8.fc"]),
            ("cpu.layer.b8.con", vec![]),
        ] {
            let line = Line::try_parse_from(["bench", "--only", filter]).unwrap();
            let found = rows(&line.bench, &cases);
            assert_eq!(found.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), expected, "{filter}");
            let checked = check_selected(&line.bench, &cases);
            assert_eq!(checked.is_err(), expected.is_empty(), "{filter}: {checked:?}");
            assert!(checked.err().is_none_or(|error| error.chain().contains("cpu.layer.b8.conv1")), "{filter}");
        }
    }

    #[test]
    fn command_line_omits_paths() {
        let words =
            ["bench", "--peer-python", "/opt/p", "--rounds", "3", "--json=/tmp/x", "--images=/tmp/y", "--page", "z"];
        let shown = command_line(words.into_iter().map(str::to_owned));
        assert_eq!(shown, "cargo xtask bench --peer-python PYTHON --rounds 3 --images FOLDER");
    }
}
