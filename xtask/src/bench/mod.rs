//! `cargo xtask bench`: Candling's speed and memory beside its peers', measured in turn in the same run.
//!
//! `plan` lists what is measured; every `case` has an `entrant` for Candling and one for each peer, programs of their own
//! that print one line of JSON (`measurement`); `page` shows what came of it.

mod args;
mod case;
mod entrant;
mod images;
mod machine;
mod measurement;
mod only;
mod page;
mod plan;
mod programs;
mod statistics;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use artifacts::failure::{Failure, print_text};
use artifacts::{atomic, progress};

pub(crate) use self::args::BenchArgs;
use self::args::{Device, Malloc, Part};
use self::case::{Case, Row};
use crate::programs::root;

pub(crate) fn run(args: &BenchArgs) -> Result<(), Failure> {
    plan::check(args)?;
    if args.device == Device::Cuda {
        programs::check_card()?;
    }
    let target = page_to_write(args)?;
    programs::build(args.device)?;
    let mut cases = plan::cases(args)?;
    let company = match args.device {
        Device::Cpu => || None,
        Device::Cuda => machine::company,
    };
    for round in 0..args.rounds {
        for case in &mut cases {
            case.measure(round, args.malloc, company);
            progress::line(&format!("round {}/{}: {}", round + 1, args.rounds, said(case)));
        }
    }

    let rows = rows(args, &cases);
    let section = page::section(&facts(args, &cases), &rows);
    print_text(&section)?;
    if let Some(file) = &args.json {
        atomic::write_json(file, &rows).map_err(Failure::failed)?;
    }
    if let Some((path, page)) = target {
        let page = page::splice(&page, args.device.name(), &section).map_err(Failure::failed)?;
        atomic::write_file(&path, page.as_bytes()).map_err(Failure::failed)?;
        progress::line(&format!("wrote {}", path.display()));
    }
    match cases.iter().find_map(|case| case.ours.values().is_empty().then_some(&case.ours)) {
        // A part of the build that is not there is said in the tables; nothing at all is a failure.
        Some(failed) if rows.iter().all(|row| row.ours.is_none()) => {
            Err(Failure::failed(format!("nothing of Candling's was measured: {}", failed.reason().unwrap_or_default())))
        }
        _ => unknown(args, &cases).map_or(Ok(()), |unknown| Err(Failure::usage(unknown))),
    }
}

/// What is wrong with a name in `--only` that is none of the results: only a program that has measured says of what.
fn unknown(args: &BenchArgs, cases: &[Case]) -> Option<String> {
    let results: Vec<(&Case, Row)> =
        cases.iter().flat_map(|case| case.rows(|_| None).into_iter().map(move |row| (case, row))).collect();
    let unknown = args.only.iter().find(|only| !results.iter().any(|(case, row)| only.means(case, row)))?;
    let names: Vec<&str> = results.iter().map(|(_, row)| row.name.as_str()).collect();
    Some(format!("--only names {unknown}, and what was measured is {}", names.join(", ")))
}

/// The page that the results go to, with what it holds, if there is one. Read before anything is measured, so that a page
/// that cannot take them costs no time.
fn page_to_write(args: &BenchArgs) -> Result<Option<(PathBuf, String)>, Failure> {
    let path = match &args.page {
        Some(path) => path.clone(),
        None if args.only.is_empty() => root().join("docs").join("performance.md"),
        None => return Ok(None),
    };
    let page = match fs::read_to_string(&path) {
        Ok(page) => page,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => page::EMPTY.to_owned(),
        Err(error) => return Err(Failure::usage(format!("failed to read {}: {error}", path.display()))),
    };
    page::splice(&page, args.device.name(), "")
        .map_err(|error| Failure::usage(format!("failed to use {}: {error}", path.display())))?;
    Ok(Some((path, page)))
}

/// All results that are asked for, the machine's peaks known.
fn rows(args: &BenchArgs, cases: &[Case]) -> Vec<Row> {
    let none = |_: &str| None;
    let peaks: Vec<Row> =
        cases.iter().filter(|case| case.part == Part::Peak).flat_map(|case| case.rows(none)).collect();
    let peak = |name: &str| {
        let row = peaks.iter().find(|row| row.name.ends_with(&format!(".peak.{name}")))?;
        row.ours.map(|gigaflops| gigaflops * 1e9)
    };
    let asked = |case: &Case, row: &Row| args.only.is_empty() || args.only.iter().any(|only| only.means(case, row));
    cases.iter().flat_map(|case| case.rows(peak).into_iter().filter(move |row| asked(case, row))).collect()
}

/// What was measured on, with what and how.
fn facts(args: &BenchArgs, cases: &[Case]) -> Vec<(&'static str, String)> {
    let first = |case: &Case| case.ours.first().and_then(|first| first.device.clone());
    let device = cases.iter().find_map(first).unwrap_or_else(|| "cpu".to_owned());
    let peers = cases.iter().flat_map(|case| &case.peers).filter_map(|peer| Some(peer.first()?.program.clone()));
    let peers: BTreeSet<String> = peers.filter(|name| !name.is_empty()).collect();
    let malloc = match args.malloc {
        Malloc::Tuned => "both sides' glibc keeps large blocks and takes them from huge pages",
        Malloc::Default => "as the system has it, on both sides",
    };
    let peers = if peers.is_empty() { "none".to_owned() } else { peers.into_iter().collect::<Vec<_>>().join("; ") };
    let driver = (args.device == Device::Cuda).then(machine::driver).flatten();
    let mut facts = vec![("machine", machine::describe()), ("device", device)];
    facts.extend(driver.map(|version| ("driver", version)));
    facts.extend([
        ("peers", peers),
        ("date", machine::today()),
        ("command", format!("`{}`", command(std::env::args().skip(1)))),
        ("rounds", format!("{}, each measurement {} s", args.rounds, args.seconds)),
        ("malloc", malloc.to_owned()),
        ("code", format!("{} ({})", machine::commit(), machine::compiler())),
    ]);
    facts
}

/// What was typed, without the places of this machine.
fn command(words: impl Iterator<Item = String>) -> String {
    const PLACES: [(&str, &str); 4] =
        [("--peer-python", " PYTHON"), ("--images", " FOLDER"), ("--json", ""), ("--page", "")];
    let mut shown = "cargo xtask".to_owned();
    let mut words = words;
    while let Some(word) = words.next() {
        let name = word.split('=').next().unwrap_or_default();
        match PLACES.iter().find(|(option, _)| *option == name) {
            None => shown += &format!(" {word}"),
            Some((option, place)) => {
                if !word.contains('=') {
                    words.next();
                }
                if !place.is_empty() {
                    shown += &format!(" {option}{place}");
                }
            }
        }
    }
    shown
}

/// A case's last round in a line.
fn said(case: &Case) -> String {
    let sides =
        std::iter::once(&case.ours).chain(&case.peers).map(|side| match (side.reason(), side.rounds().last()) {
            (Some(reason), _) => format!("{}: {reason}", side.name),
            (None, Some(round)) => match round.as_slice() {
                [one] => format!("{} {:.2} {}", side.name, one.value, one.unit),
                several => format!("{} {} values", side.name, several.len()),
            },
            (None, None) => side.name.clone(),
        });
    format!("{}: {}", case.name, sides.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn results_that_are_not_asked_for_are_left_out() {
        use clap::Parser;

        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            bench: BenchArgs,
        }

        let lines = "{\"name\":\"conv1\",\"gflops\":3}\n{\"name\":\"fc\",\"gflops\":4}";
        let ours = entrant::Entrant::new("layers", ["printf", "%s\\n", lines]);
        let mut case = Case { part: Part::Layers, name: "cpu.layer.b8".to_owned(), ours, peers: vec![], limit: None };
        case.measure(0, Malloc::Default, || None);
        let cases = [case];
        for (asked, expected) in [
            ("cpu.layer", vec!["cpu.layer.b8.conv1", "cpu.layer.b8.fc"]),
            ("cpu.layer.b8.fc", vec!["cpu.layer.b8.fc"]),
            ("cpu.layer.b8.con", vec![]),
        ] {
            let line = Line::try_parse_from(["bench", "--only", asked]).unwrap();
            let found = rows(&line.bench, &cases);
            assert_eq!(found.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), expected, "{asked}");
            let unknown = unknown(&line.bench, &cases);
            assert_eq!(unknown.is_some(), expected.is_empty(), "{asked}: {unknown:?}");
            assert!(unknown.is_none_or(|text| text.contains("cpu.layer.b8.conv1")), "{asked}");
        }
    }

    #[test]
    fn a_command_is_shown_without_the_places_of_this_machine() {
        let words =
            ["bench", "--peer-python", "/opt/p", "--rounds", "3", "--json=/tmp/x", "--images=/tmp/y", "--page", "z"];
        let shown = command(words.into_iter().map(str::to_owned));
        assert_eq!(shown, "cargo xtask bench --peer-python PYTHON --rounds 3 --images FOLDER");
    }
}
