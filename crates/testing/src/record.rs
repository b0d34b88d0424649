//! Skipping a test: prints the skip and records it for the summary of CI, or fails the test.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::panic::Location;
use std::path::Path;
use std::thread;

use crate::need::{Need, required};

/// The environment variable with the path of the file to which skips are appended. `cargo xtask ci` sets it.
pub const RECORD_FILE: &str = "CANDLING_SKIP_RECORD";

/// Skips the running test because the machine lacks `need`; the test must return after the call.
///
/// Prints the skip directly to standard error, because the test harness hides the captured output of passing tests.
/// Appends a line to the file in `CANDLING_SKIP_RECORD` if that is set. Call it on the test's own thread, because the
/// harness names the thread after the test.
///
/// # Panics
/// `CANDLING_REQUIRE` lists the need or contains an unknown name, or the record cannot be written.
#[track_caller]
pub fn skip(need: Need, reason: impl Display) {
    let skipped =
        Skipped { test: running_test(Location::caller()), need: need.to_string(), reason: reason.to_string() };
    match required() {
        Err(error) => panic!("{error}"),
        Ok(required) => assert!(
            !required.contains(&need),
            "CANDLING_REQUIRE lists {need}, but {}; {}",
            skipped.reason,
            need.how_to_provide()
        ),
    }
    // Not `eprintln`, whose output the harness captures.
    let _ = writeln!(io::stderr(), "skipped {}: needs {need}, but {}", skipped.test, skipped.reason);
    if let Some(file) = std::env::var_os(RECORD_FILE) {
        let file = Path::new(&file);
        skipped.append_to(file).unwrap_or_else(|error| panic!("failed to write {}: {error}", file.display()));
    }
}

/// Returns the package and name of the running test, such as `report::fits_narrow_window`.
fn running_test(caller: &Location<'_>) -> String {
    // With `--test-threads=1` tests run on the main thread, so that only the location of the call is known.
    let name = match thread::current().name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => format!("{}:{}", caller.file(), caller.line()),
    };
    match std::env::var("CARGO_PKG_NAME") {
        Ok(package) => format!("{package}::{name}"),
        Err(_) => name,
    }
}

/// A skipped test as a line of the record: test, need and reason, separated by tabs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// The need's name.
    pub need: String,
    /// Why the machine does not meet the need.
    pub reason: String,
    /// The test's package and name.
    pub test: String,
}

impl Skipped {
    /// Appends the line in one write, so that lines of concurrent test processes do not mix.
    fn append_to(&self, file: &Path) -> io::Result<()> {
        let fields = [&self.test, &self.need, &self.reason].map(|field| field.replace(['\t', '\n', '\r'], " "));
        let line = format!("{}\n", fields.join("\t"));
        OpenOptions::new().append(true).create(true).open(file)?.write_all(line.as_bytes())
    }
}

/// Parses the text of a record. Returns the skips sorted by need, reason and test, without duplicates. Ignores
/// malformed lines.
pub fn parse_records(text: &str) -> Vec<Skipped> {
    let parse = |line: &str| {
        let mut fields = line.splitn(3, '\t').map(str::to_owned);
        let (test, need, reason) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Skipped { need, reason, test })
    };
    let mut skips: Vec<Skipped> = text.lines().filter_map(parse).collect();
    skips.sort();
    skips.dedup();
    skips
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_records_sorted_without_duplicates() {
        let file = std::env::temp_dir().join(format!("candling-skips-{}", std::process::id()));
        let skip = |test: &str, need: Need, reason: &str| Skipped {
            test: test.to_owned(),
            need: need.to_string(),
            reason: reason.to_owned(),
        };
        let (browser, folder) =
            (skip("report::b", Need::Chromium, "no\nbrowser"), skip("ingest::a", Need::Shared, "no folder"));
        for skipped in [&folder, &browser, &folder] {
            skipped.append_to(&file).unwrap();
        }
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert_eq!(parse_records(&text), [skip("report::b", Need::Chromium, "no browser"), folder]);
        assert_eq!(parse_records("half a line\n"), []);
    }

    #[test]
    fn running_test_has_package_and_name() {
        let name = running_test(Location::caller());
        assert_eq!(name, "testing::record::tests::running_test_has_package_and_name");
    }
}
