//! The summary at the end of `cargo xtask ci`: the time of each step, skipped and failed tests, and the totals.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::test_results::TestResults;

/// A step that was run or skipped.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) result: StepResult,
}

/// How a step ended, and how long it took.
pub(super) enum StepResult {
    Passed(Duration),
    Failed(Duration),
    /// Not run, for this reason.
    Skipped(String),
}

/// The label of the total time.
const TOTAL: &str = "all steps";

/// Returns the summary. Its last line is `N passed, N failed, N skipped`.
pub(super) fn summary(steps: &[Step], tests: &TestResults) -> String {
    let mut text = "\n== summary\n".to_owned();
    let width = steps.iter().map(|step| step.name.len()).chain([TOTAL.len()]).max().unwrap_or(0);
    let mut total = Duration::ZERO;
    for Step { name, result } in steps {
        let _ = match result {
            StepResult::Passed(time) | StepResult::Failed(time) => {
                total += *time;
                let failed = if matches!(result, StepResult::Failed(_)) { "  failed" } else { "" };
                writeln!(text, "{name:<width$}  {:>5.0} s{failed}", time.as_secs_f64())
            }
            StepResult::Skipped(reason) => writeln!(text, "{name:<width$}  skipped: {reason}"),
        };
    }
    let _ = writeln!(text, "{TOTAL:<width$}  {:>5.0} s", total.as_secs_f64());
    list_skipped(&mut text, tests);
    if !tests.failed.is_empty() {
        text += "\nfailed tests:\n";
        for name in &tests.failed {
            let _ = writeln!(text, "  {name}");
        }
    }
    let skipped = tests.skipped.len() + tests.ignored.len();
    let _ = writeln!(text, "\n{} passed, {} failed, {skipped} skipped", tests.passed, tests.failed.len());
    text
}

/// Lists skipped tests, grouped by need and reason.
fn list_skipped(text: &mut String, tests: &TestResults) {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for skip in &tests.skipped {
        groups.entry(format!("needs {}, but {}", skip.need, skip.reason)).or_default().push(&skip.test);
    }
    if !tests.ignored.is_empty() {
        groups.insert("ignored by an attribute".to_owned(), tests.ignored.iter().map(String::as_str).collect());
    }
    if !groups.is_empty() {
        text.push_str("\nskipped tests:\n");
    }
    for (reason, names) in groups {
        let _ = writeln!(text, "  {reason}:");
        for name in names {
            let _ = writeln!(text, "    {name}");
        }
    }
}

#[cfg(test)]
mod tests {
    use testing::Skipped;

    use super::*;

    #[test]
    fn lists_steps_skips_failures_and_totals() {
        let seconds = Duration::from_secs;
        let steps = [
            Step { name: "lints", result: StepResult::Passed(seconds(61)) },
            Step { name: "tests", result: StepResult::Failed(seconds(1200)) },
            Step { name: "CUDA", result: StepResult::Skipped("there is no g++".to_owned()) },
        ];
        let skip = |test: &str, need: &str| Skipped {
            test: test.to_owned(),
            need: need.to_owned(),
            reason: "there is none".to_owned(),
        };
        let mut tests = TestResults::default();
        tests.passed = 3;
        tests.failed = vec!["a::fails".to_owned()];
        tests.skipped = vec![skip("x::one", "cuda"), skip("y::two", "cuda"), skip("x::three", "chromium")];
        tests.ignored = vec!["z".to_owned()];
        let expected = "
== summary
lints         61 s
tests       1200 s  failed
CUDA       skipped: there is no g++
all steps   1261 s

skipped tests:
  ignored by an attribute:
    z
  needs chromium, but there is none:
    x::three
  needs cuda, but there is none:
    x::one
    y::two

failed tests:
  a::fails

3 passed, 1 failed, 4 skipped
";
        assert_eq!(summary(&steps, &tests), expected);
    }
}
