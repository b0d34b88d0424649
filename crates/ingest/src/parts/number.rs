//! The number of a part, as the command line or the scheduler of a cluster gives it.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

use artifacts::RunDir;
use serde::{Deserialize, Serialize};

/// The largest number of parts.
const MAX_PARTS: u32 = 100_000;

/// One of several parts, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "RecordedNumber")]
pub struct PartNumber {
    pub(crate) part: u32,
    /// The number of parts.
    pub(crate) parts: u32,
}

/// A [`PartNumber`] in a manifest, before it is checked.
#[derive(Deserialize)]
struct RecordedNumber {
    part: u32,
    parts: u32,
}

impl TryFrom<RecordedNumber> for PartNumber {
    type Error = String;

    fn try_from(RecordedNumber { part, parts }: RecordedNumber) -> Result<PartNumber, String> {
        PartNumber::new(part, parts)
    }
}

impl PartNumber {
    fn new(part: u32, parts: u32) -> Result<PartNumber, String> {
        if parts > MAX_PARTS {
            return Err(format!("there may be at most {MAX_PARTS} parts, not {parts}"));
        }
        if part == 0 || part > parts {
            return Err(format!("there is no part {part} of {parts}; parts are counted from 1 to {parts}"));
        }
        Ok(PartNumber { part, parts })
    }

    /// The folder of this part in a run.
    pub(crate) fn folder(self, run: &RunDir) -> PathBuf {
        run.ingest_parts().join(format!("{}-of-{}", self.part, self.parts))
    }

    /// The indices of the files of this part in a source of `files` files. Sizes differ by at most one.
    pub(crate) fn range(self, files: u32) -> Range<u32> {
        let start = |part: u32| (u64::from(files) * u64::from(part) / u64::from(self.parts)) as u32;
        start(self.part - 1)..start(self.part)
    }

    /// Parses `I/N`, or `auto` or `auto/N`, for which the variables of a scheduler give the number.
    fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<PartNumber, String> {
        let (number, count) = text.split_once('/').map_or((text, None), |(number, count)| (number, Some(count)));
        let count = count.map(parse_number).transpose()?;
        let (part, parts) = if number == "auto" {
            let (part, of_scheduler) = of_scheduler(&|name| variable(name).and_then(|text| text.trim().parse().ok()))
                .ok_or(
                "no scheduler has set the number of the task (SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX or \
                        AWS_BATCH_JOB_ARRAY_INDEX); write `I/N`, such as `1/8`",
            )?;
            let parts = count.or(of_scheduler);
            (
                part,
                parts.ok_or("the scheduler does not say how many tasks there are; write `auto/N`, such as `auto/8`")?,
            )
        } else {
            (parse_number(number)?, count.ok_or("the number of parts is missing; write `I/N`, such as `1/8`")?)
        };
        PartNumber::new(part, parts)
    }
}

fn parse_number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number of parts; write `I/N`, such as `1/8`"))
}

/// Returns the number of this task, counted from 1, and the number of tasks if the scheduler says it.
///
/// - Slurm: <https://slurm.schedmd.com/job_array.html>
/// - Kubernetes: <https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode>
/// - AWS Batch: <https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html>
fn of_scheduler(variable: &dyn Fn(&str) -> Option<u32>) -> Option<(u32, Option<u32>)> {
    if let Some(id) = variable("SLURM_ARRAY_TASK_ID") {
        let first = variable("SLURM_ARRAY_TASK_MIN").unwrap_or(1);
        let step = variable("SLURM_ARRAY_TASK_STEP").unwrap_or(1).max(1);
        return Some((id.checked_sub(first)? / step + 1, variable("SLURM_ARRAY_TASK_COUNT")));
    }
    let kubernetes = || Some((variable("JOB_COMPLETION_INDEX")?.checked_add(1)?, None));
    let batch = || Some((variable("AWS_BATCH_JOB_ARRAY_INDEX")?.checked_add(1)?, variable("AWS_BATCH_JOB_ARRAY_SIZE")));
    kubernetes().or_else(batch)
}

impl FromStr for PartNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<PartNumber, String> {
        PartNumber::parse(text, |name| std::env::var(name).ok())
    }
}

impl fmt::Display for PartNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, variables: &[(&str, &str)]) -> Result<PartNumber, String> {
        PartNumber::parse(text, |name| {
            variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn parses_numbers() {
        assert_eq!(parse("2/7", &[]), Ok(PartNumber { part: 2, parts: 7 }));
        assert_eq!(PartNumber { part: 2, parts: 7 }.to_string(), "2/7");
        for (text, expected) in [
            ("3", "the number of parts is missing"),
            ("0/7", "there is no part 0 of 7"),
            ("8/7", "there is no part 8 of 7"),
            ("1/0", "there is no part 1 of 0"),
            ("1/100001", "at most 100000 parts"),
            ("x/7", "`x` is not a number"),
            ("1/-7", "`-7` is not a number"),
            ("auto", "no scheduler"),
            ("auto/7", "no scheduler"),
        ] {
            let message = parse(text, &[]).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn schedulers_give_the_number() {
        let slurm = [("SLURM_ARRAY_TASK_ID", "3"), ("SLURM_ARRAY_TASK_COUNT", "4"), ("SLURM_ARRAY_TASK_MIN", "0")];
        assert_eq!(parse("auto", &slurm), Ok(PartNumber { part: 4, parts: 4 }));
        assert_eq!(parse("auto", &slurm[..2]), Ok(PartNumber { part: 3, parts: 4 }));
        let steps = [("SLURM_ARRAY_TASK_STEP", "10"), ("SLURM_ARRAY_TASK_MIN", "10")];
        let steps = [&steps[..], &[("SLURM_ARRAY_TASK_ID", "30"), ("SLURM_ARRAY_TASK_COUNT", "4")]].concat();
        assert_eq!(parse("auto", &steps), Ok(PartNumber { part: 3, parts: 4 }));
        let kubernetes = [("JOB_COMPLETION_INDEX", "0")];
        assert!(parse("auto", &kubernetes).unwrap_err().contains("auto/N"));
        assert_eq!(parse("auto/5", &kubernetes), Ok(PartNumber { part: 1, parts: 5 }));
        let batch = [("AWS_BATCH_JOB_ARRAY_INDEX", "4"), ("AWS_BATCH_JOB_ARRAY_SIZE", "5")];
        assert_eq!(parse("auto", &batch), Ok(PartNumber { part: 5, parts: 5 }));
        assert!(parse("auto/4", &batch).unwrap_err().contains("no part 5 of 4"));
    }

    #[test]
    fn parts_have_every_file_once() {
        for (files, parts) in [(0, 3), (1, 3), (10, 3), (1000, 7), (5, 5), (u32::MAX, 9)] {
            let ranges: Vec<_> = (1..=parts).map(|part| PartNumber { part, parts }.range(files)).collect();
            assert_eq!((ranges[0].start, ranges[ranges.len() - 1].end), (0, files));
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
            let sizes = ranges.iter().map(ExactSizeIterator::len);
            assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1, "{ranges:?}");
        }
    }
}
