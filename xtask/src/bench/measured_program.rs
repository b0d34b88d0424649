//! A program that is run in every round, and its measurements.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::measurement::{self, Measurement};
use super::options::Malloc;

/// The environment variable and the value with which glibc uses huge pages, and keeps freed memory instead of returning
/// it to the system, which would cause page faults when it is used again.
const TUNED: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=34359738368:glibc.malloc.top_pad=67108864",
);

/// A program of Candling or of a peer, with its measurements so far.
pub(crate) struct MeasuredProgram {
    /// The name in tables.
    pub(crate) name: String,
    /// The program and its arguments, or the reason why it cannot run.
    command: Result<Vec<OsString>, String>,
    /// The number of images that the program processes, if it does not measure its own speed.
    images: Option<usize>,
    /// The measurements of each round.
    rounds: Vec<Vec<Measurement>>,
    /// The reason why later rounds have no measurements.
    failed: Option<String>,
    /// Other processes on the card in the first round that had any.
    other_processes: Option<String>,
}

impl MeasuredProgram {
    /// Creates a program that measures its own speed.
    pub(crate) fn new<I: Into<OsString>>(name: &str, command: impl IntoIterator<Item = I>) -> MeasuredProgram {
        let command = command.into_iter().map(Into::into).collect();
        MeasuredProgram {
            name: name.to_owned(),
            command: Ok(command),
            images: None,
            rounds: Vec::new(),
            failed: None,
            other_processes: None,
        }
    }

    /// Creates a program that processes `images` and does not measure its own speed. Its rate is computed from the time
    /// between its start and its end.
    pub(crate) fn timed<I: Into<OsString>>(
        name: &str,
        command: impl IntoIterator<Item = I>,
        images: usize,
    ) -> MeasuredProgram {
        MeasuredProgram::new(name, command).timed_with(images)
    }

    /// The same program, if it processes `images` and does not measure its own speed.
    pub(crate) fn timed_with(self, images: usize) -> MeasuredProgram {
        MeasuredProgram { images: Some(images), ..self }
    }

    /// Creates a program that cannot run, for this reason.
    pub(crate) fn absent(name: &str, reason: String) -> MeasuredProgram {
        MeasuredProgram { command: Err(reason), ..MeasuredProgram::new(name, Vec::<OsString>::new()) }
    }

    /// Returns the program and its arguments as text, or nothing if it cannot run.
    #[cfg(test)]
    pub(crate) fn words(&self) -> Vec<String> {
        self.command.iter().flatten().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    /// Runs the program for one more round, unless it failed before. `other_processes` returns a list of the other
    /// processes on the card.
    pub(crate) fn measure(&mut self, malloc: Malloc, other_processes: fn() -> Option<String>) {
        if self.failure().is_some() {
            return;
        }
        let Ok(words) = &self.command else { return };
        self.other_processes = self.other_processes.take().or_else(other_processes);
        match run(words, malloc, self.images) {
            Ok(measurements) => self.rounds.push(measurements),
            Err(reason) if self.rounds.is_empty() => self.failed = Some(reason),
            Err(reason) => self.failed = Some(format!("in round {}: {reason}", self.rounds.len() + 1)),
        }
    }

    /// Returns the reason why measurements are missing, if any are.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.command.as_ref().err().or(self.failed.as_ref()).map(String::as_str)
    }

    /// Returns the other processes on the card in the first round that had any.
    pub(crate) fn other_processes(&self) -> Option<&str> {
        self.other_processes.as_deref()
    }

    /// Returns the measurements of each round.
    pub(crate) fn rounds(&self) -> &[Vec<Measurement>] {
        &self.rounds
    }

    /// Returns the first value of each round.
    pub(crate) fn values(&self) -> Vec<f64> {
        self.rounds.iter().filter_map(|round| Some(round.first()?.value)).collect()
    }

    /// Returns the first measurement of the first round, for fields that are the same in every round.
    pub(crate) fn first(&self) -> Option<&Measurement> {
        self.rounds.first()?.first()
    }

    /// Returns the peak memory of each round in bytes, if the program reports it.
    pub(crate) fn memory(&self) -> Vec<f64> {
        self.rounds.iter().filter_map(|round| Some(round.first()?.peak_bytes? as f64)).collect()
    }
}

/// Runs a program once and returns its measurements.
fn run(words: &[OsString], malloc: Malloc, images: Option<usize>) -> Result<Vec<Measurement>, String> {
    let (program, arguments) = words.split_first().ok_or("there is no program")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    match malloc {
        Malloc::Tuned => command.env(TUNED.0, TUNED.1),
        Malloc::Default => command.env_remove(TUNED.0),
    };
    let start = Instant::now();
    let output = command.output().map_err(|error| format!("failed to start: {error}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(error_line(&stderr).map_or_else(|| format!("failed ({})", output.status), str::to_owned));
    }
    match images {
        None => measurement::parse(&String::from_utf8_lossy(&output.stdout)),
        Some(images) => Ok(vec![Measurement::rate(images as f64 / start.elapsed().as_secs_f64())]),
    }
}

/// Returns the line of `stderr` with the reason of a failure: the last line that names a Python error, or else the last
/// line. Hints may follow a Python error.
fn error_line(stderr: &str) -> Option<&str> {
    let lines = || stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let names_an_error = |line: &&str| {
        let name = line.split_once(": ").map(|(name, _)| name).unwrap_or_default();
        !name.contains(' ') && ["Error", "Exception"].iter().any(|end| name.ends_with(end))
    };
    lines().rfind(names_an_error).or_else(|| lines().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    fn shell(script: &str) -> MeasuredProgram {
        MeasuredProgram::new("a shell", ["sh", "-c", script])
    }

    #[cfg(unix)]
    #[test]
    fn measures_in_each_round() {
        let mut program = shell("echo '{\"value\": 4, \"peak_bytes\": 7}'");
        program.measure(Malloc::Tuned, || None);
        program.measure(Malloc::Default, || None);
        assert_eq!((program.values(), program.memory(), program.failure()), (vec![4.0, 4.0], vec![7.0, 7.0], None));
    }

    #[cfg(unix)]
    #[test]
    fn malloc_setting_reaches_program() {
        let mut program =
            shell("case \"$GLIBC_TUNABLES\" in *hugetlb=1*) echo '{\"value\": 1}';; *) echo '{\"value\": 2}';; esac");
        program.measure(Malloc::Tuned, || None);
        program.measure(Malloc::Default, || None);
        assert_eq!(program.values(), [1.0, 2.0]);
    }

    #[cfg(unix)]
    #[test]
    fn failure_is_kept_and_not_retried() {
        let mut program = shell("echo 'Traceback' >&2; echo \"No module named 'x'\" >&2; echo >&2; exit 1");
        program.measure(Malloc::Tuned, || None);
        assert_eq!(program.failure(), Some("No module named 'x'"));
        let mut nonexistent = MeasuredProgram::new("nothing", ["/nonexistent/program"]);
        nonexistent.measure(Malloc::Tuned, || None);
        let failure = nonexistent.failure();
        assert!(failure.is_some_and(|reason| reason.contains("failed to start")), "{failure:?}");
    }

    #[test]
    fn python_error_is_found_before_hints() {
        let stderr = "Traceback (most recent call last):\n  File \"x.py\", line 1\n\
                      torch._inductor.exc.TritonMissing: Cannot find a working triton installation\n\n\
                      RuntimeError: backend='inductor' raised: no triton\n\n\
                      You can suppress this exception and fall back to eager by setting:\n    suppress_errors = True\n";
        assert_eq!(error_line(stderr), Some("RuntimeError: backend='inductor' raised: no triton"));
        assert_eq!(
            error_line("torch.OutOfMemoryError: CUDA out of memory\nbye"),
            Some("torch.OutOfMemoryError: CUDA out of memory")
        );
        assert_eq!(error_line("some Error: of prose\nlast words\n"), Some("last words"));
        assert_eq!(error_line("\n"), None);
    }

    #[cfg(unix)]
    #[test]
    fn program_without_measurements_is_timed() {
        let mut program = MeasuredProgram::timed("a stage", ["sleep", "0.05"], 10);
        program.measure(Malloc::Default, || None);
        let [rate] = program.values()[..] else { panic!("{:?}", program.failure()) };
        assert!(rate > 1.0 && rate <= 200.0, "{rate}");
    }

    #[test]
    fn absent_program_has_reason_and_no_values() {
        let mut program = MeasuredProgram::absent("PyTorch", "no --peer-python was given".to_owned());
        program.measure(Malloc::Tuned, || None);
        assert_eq!((program.values(), program.failure()), (vec![], Some("no --peer-python was given")));
    }
}
