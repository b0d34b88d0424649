//! A program that is measured in every round, and what it gave.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::args::Malloc;
use super::measurement::{self, Measurement};

/// glibc keeps what it has instead of giving it back and faulting it in again, and asks for huge pages.
const TUNED: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=34359738368:glibc.malloc.top_pad=67108864",
);

/// One side of a comparison.
pub(crate) struct Entrant {
    /// The name for people.
    pub(crate) name: String,
    /// The program and its arguments, or why it cannot run.
    command: Result<Vec<OsString>, String>,
    /// Images that a run works through, where the program does not measure itself.
    images: Option<usize>,
    /// What each round gave.
    rounds: Vec<Vec<Measurement>>,
    /// Why it gives no more, and in which round that was.
    failed: Option<String>,
    /// Who else was on the card when it was measured.
    company: Option<String>,
}

impl Entrant {
    /// A program to be run.
    pub(crate) fn new<I: Into<OsString>>(name: &str, command: impl IntoIterator<Item = I>) -> Entrant {
        let command = command.into_iter().map(Into::into).collect();
        Entrant {
            name: name.to_owned(),
            command: Ok(command),
            images: None,
            rounds: Vec::new(),
            failed: None,
            company: None,
        }
    }

    /// A program that works through `images` and does not measure itself: it is timed from its start to its end.
    pub(crate) fn timed<I: Into<OsString>>(name: &str, command: impl IntoIterator<Item = I>, images: usize) -> Entrant {
        Entrant { images: Some(images), ..Entrant::new(name, command) }
    }

    /// One that is known not to run.
    pub(crate) fn absent(name: &str, reason: String) -> Entrant {
        Entrant { command: Err(reason), ..Entrant::new(name, Vec::<OsString>::new()) }
    }

    /// What it runs, in words; nothing where it cannot run.
    #[cfg(test)]
    pub(crate) fn words(&self) -> Vec<String> {
        self.command.iter().flatten().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    /// Measures once more, unless it has failed before; `company` says who else computes where it does.
    pub(crate) fn measure(&mut self, malloc: Malloc, company: fn() -> Option<String>) {
        if self.reason().is_some() {
            return;
        }
        let Ok(words) = &self.command else { return };
        self.company = self.company.take().or_else(company);
        match run(words, malloc, self.images) {
            Ok(measurements) => self.rounds.push(measurements),
            Err(reason) if self.rounds.is_empty() => self.failed = Some(reason),
            Err(reason) => self.failed = Some(format!("in round {}: {reason}", self.rounds.len() + 1)),
        }
    }

    /// Why it did not give everything it was asked for.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.command.as_ref().err().or(self.failed.as_ref()).map(String::as_str)
    }

    /// Who else was on the card when it was first not alone there.
    pub(crate) fn company(&self) -> Option<&str> {
        self.company.as_deref()
    }

    /// What the rounds gave.
    pub(crate) fn rounds(&self) -> &[Vec<Measurement>] {
        &self.rounds
    }

    /// The only value of each round.
    pub(crate) fn values(&self) -> Vec<f64> {
        self.rounds.iter().filter_map(|round| Some(round.first()?.value)).collect()
    }

    /// The first measurement of all, for what does not change from round to round.
    pub(crate) fn first(&self) -> Option<&Measurement> {
        self.rounds.first()?.first()
    }

    /// The most memory of each round, where the program tells it.
    pub(crate) fn memory(&self) -> Vec<f64> {
        self.rounds.iter().filter_map(|round| Some(round.first()?.peak_bytes? as f64)).collect()
    }
}

fn run(words: &[OsString], malloc: Malloc, images: Option<usize>) -> Result<Vec<Measurement>, String> {
    let (program, arguments) = words.split_first().ok_or("there is no program")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    match malloc {
        Malloc::Tuned => command.env(TUNED.0, TUNED.1),
        Malloc::Default => command.env_remove(TUNED.0),
    };
    let start = Instant::now();
    let output = command.output().map_err(|error| format!("it does not start: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(why(&said).map_or_else(|| format!("it failed ({})", output.status), str::to_owned));
    }
    match images {
        None => measurement::parse(&String::from_utf8_lossy(&output.stdout)),
        Some(images) => Ok(vec![Measurement::rate(images as f64 / start.elapsed().as_secs_f64())]),
    }
}

/// The line that says why a program failed: the last that names a Python error, because hints may follow it, or else the
/// last of all.
fn why(said: &str) -> Option<&str> {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
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
    fn shell(script: &str) -> Entrant {
        Entrant::new("a shell", ["sh", "-c", script])
    }

    #[cfg(unix)]
    #[test]
    fn a_program_is_measured_in_each_round() {
        let mut entrant = shell("echo '{\"value\": 4, \"peak_bytes\": 7}'");
        entrant.measure(Malloc::Tuned, || None);
        entrant.measure(Malloc::Default, || None);
        assert_eq!((entrant.values(), entrant.memory(), entrant.reason()), (vec![4.0, 4.0], vec![7.0, 7.0], None));
    }

    #[cfg(unix)]
    #[test]
    fn both_sides_have_the_same_malloc() {
        let mut entrant =
            shell("case \"$GLIBC_TUNABLES\" in *hugetlb=1*) echo '{\"value\": 1}';; *) echo '{\"value\": 2}';; esac");
        entrant.measure(Malloc::Tuned, || None);
        entrant.measure(Malloc::Default, || None);
        assert_eq!(entrant.values(), [1.0, 2.0]);
    }

    #[cfg(unix)]
    #[test]
    fn a_failure_is_kept_with_its_last_words_and_not_tried_again() {
        let mut entrant = shell("echo 'Traceback' >&2; echo \"No module named 'x'\" >&2; echo >&2; exit 1");
        entrant.measure(Malloc::Tuned, || None);
        assert_eq!(entrant.reason(), Some("No module named 'x'"));
        let mut never = Entrant::new("nothing", ["/nonexistent/program"]);
        never.measure(Malloc::Tuned, || None);
        assert!(never.reason().is_some_and(|reason| reason.contains("does not start")), "{:?}", never.reason());
    }

    #[test]
    fn a_failure_is_told_by_the_line_that_names_the_error() {
        let said = "Traceback (most recent call last):\n  File \"x.py\", line 1\n\
                    torch._inductor.exc.TritonMissing: Cannot find a working triton installation\n\n\
                    RuntimeError: backend='inductor' raised: no triton\n\n\
                    You can suppress this exception and fall back to eager by setting:\n    suppress_errors = True\n";
        assert_eq!(why(said), Some("RuntimeError: backend='inductor' raised: no triton"));
        assert_eq!(
            why("torch.OutOfMemoryError: CUDA out of memory\nbye"),
            Some("torch.OutOfMemoryError: CUDA out of memory")
        );
        assert_eq!(why("some Error: of prose\nlast words\n"), Some("last words"));
        assert_eq!(why("\n"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_does_not_measure_itself_is_timed() {
        let mut entrant = Entrant::timed("a stage", ["sleep", "0.05"], 10);
        entrant.measure(Malloc::Default, || None);
        let [rate] = entrant.values()[..] else { panic!("{:?}", entrant.reason()) };
        assert!(rate > 1.0 && rate <= 200.0, "{rate}");
    }

    #[test]
    fn an_absent_one_says_why() {
        let mut entrant = Entrant::absent("PyTorch", "no --peer-python was given".to_owned());
        entrant.measure(Malloc::Tuned, || None);
        assert_eq!((entrant.values(), entrant.reason()), (vec![], Some("no --peer-python was given")));
    }
}
