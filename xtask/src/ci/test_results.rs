//! Counts tests in the output of `cargo test`.

use testing::Skipped;

/// The results of test programs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TestResults {
    /// The number of tests that passed. Includes skipped tests until [`TestResults::add_skips`] is called, because the
    /// test harness reports them as passed.
    pub(super) passed: usize,
    /// Names of tests that failed, and a line for each program that ended without a result.
    pub(super) failed: Vec<String>,
    /// Tests that were skipped, with what they need.
    pub(super) skipped: Vec<Skipped>,
    /// Names of tests that the harness ignored.
    pub(super) ignored: Vec<String>,
    /// Whether the current program has not printed its result yet.
    awaits_result: bool,
}

impl TestResults {
    /// Processes a line of the standard output of `cargo test`.
    pub(super) fn read_line(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some(result) = line.strip_prefix("test result: ") {
            self.awaits_result = false;
            self.passed += count(result, "passed").unwrap_or(0);
        } else if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
            self.finish();
            self.awaits_result = true;
        } else if let Some((name, verdict)) = line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... ")) {
            if verdict == "FAILED" {
                self.failed.push(name.to_owned());
            } else if verdict.starts_with("ignored") {
                self.ignored.push(name.to_owned());
            }
        }
    }

    /// Records a failure if the last program ended without a result, for example because it was killed.
    pub(super) fn finish(&mut self) {
        if std::mem::take(&mut self.awaits_result) {
            self.failed.push("a test program ended before it had run all of its tests".to_owned());
        }
    }

    /// Counts these tests as skipped instead of passed.
    pub(super) fn add_skips(&mut self, skips: Vec<Skipped>) {
        // A test may record several skips; the first one counts.
        for skip in skips {
            if !self.skipped.iter().any(|known| known.test == skip.test) {
                self.passed = self.passed.saturating_sub(1);
                self.skipped.push(skip);
            }
        }
    }

    /// Adds the results of another command.
    pub(super) fn add(&mut self, other: TestResults) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
        self.ignored.extend(other.ignored);
    }
}

/// Returns the number before `word` in `ok. 5 passed; 0 failed; …`.
fn count(result: &str, word: &str) -> Option<usize> {
    let words: Vec<&str> = result.split([' ', ';']).collect();
    let place = words.iter().position(|other| *other == word)?;
    words.get(place.checked_sub(1)?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &str) -> TestResults {
        let mut results = TestResults::default();
        output.lines().for_each(|line| results.read_line(line));
        results.finish();
        results
    }

    fn skip(test: &str) -> Skipped {
        Skipped { test: test.to_owned(), need: "cuda".to_owned(), reason: "there is no driver".to_owned() }
    }

    #[test]
    fn counts_tests_of_several_programs() {
        let results = read(
            "
running 3 tests
test a::passes ... ok
test a::fails ... FAILED
test src/lib.rs - b (line 3) ... ignored, needs time

failures:

---- a::fails stdout ----
test result: ok, or so a test prints

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.10s

running 1 test
test c - should panic ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 0 tests

test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
",
        );
        assert_eq!(results.passed, 2);
        assert_eq!(
            (results.failed, results.ignored),
            (vec!["a::fails".to_owned()], vec!["src/lib.rs - b (line 3)".to_owned()])
        );
    }

    #[test]
    fn program_without_result_is_failure() {
        let aborted = "running 2 tests\ntest a ... ok\n";
        let complete = "running 1 test\ntest b ... ok\ntest result: ok. 1 passed; 0 failed; 0 ignored\n";
        for output in [aborted.to_owned(), format!("{aborted}{complete}"), format!("{complete}{aborted}")] {
            assert_eq!(read(&output).failed.len(), 1, "{output}");
        }
        assert!(read(complete).failed.is_empty());
    }

    #[test]
    fn skipped_tests_do_not_count_as_passed() {
        let mut results = read("running 3 tests\ntest result: ok. 3 passed; 0 failed\n");
        results.add_skips(vec![skip("a"), skip("a"), skip("b")]);
        assert_eq!((results.passed, results.skipped.len()), (1, 2));

        // Another command skips the same test again, and its harness counts the test again.
        let mut again = read("running 1 test\ntest result: ok. 1 passed; 0 failed\n");
        again.add_skips(vec![skip("a")]);
        results.add(again);
        assert_eq!((results.passed, results.skipped.len()), (1, 3));
    }
}
