//! Progress reports on standard error, with rate and remaining time: a progress bar on a terminal, or else a line every
//! ten seconds.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::text::visible_lines;

/// Time between two progress lines if standard error is not a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Whether this process prints nothing here, because another one prints the same.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Suppresses messages and progress reports from now on, as in all but one of the processes that train together.
pub fn silence() {
    SILENT.store(true, Ordering::Relaxed);
}

/// Ends the effect of [`silence`], such as before the message of an error that only this process knows.
pub fn unsilence() {
    SILENT.store(false, Ordering::Relaxed);
}

/// The progress of one task. Threads may share it.
pub struct Progress {
    task: String,
    unit: String,
    total: OnceLock<u64>,
    start: Instant,
    done: AtomicU64,
    output: Output,
}

enum Output {
    Bar(ProgressBar),
    Lines { last_line: Mutex<Instant>, message: Mutex<String> },
}

impl Progress {
    /// Starts a task of `total` units, if the number is known. `unit` is the plural: "images".
    pub fn new(task: impl Into<String>, unit: impl Into<String>, total: Option<u64>) -> Progress {
        let (task, unit) = (task.into(), unit.into());
        let output = if std::io::stderr().is_terminal() && !SILENT.load(Ordering::Relaxed) {
            Output::Bar(bar(&task, &unit, total))
        } else {
            Output::Lines { last_line: Mutex::new(Instant::now()), message: Mutex::default() }
        };
        let total = total.map_or_else(OnceLock::new, OnceLock::from);
        Progress { task, unit, total, start: Instant::now(), done: AtomicU64::new(0), output }
    }

    /// Sets the total of a task that started without one. A total that is known already stays.
    pub fn set_total(&self, total: u64) {
        if self.total.set(total).is_ok()
            && let Output::Bar(bar) = &self.output
        {
            bar.set_length(total);
            bar.set_style(style(&self.task, &self.unit, true));
        }
    }

    /// Adds `n` finished units.
    pub fn add(&self, n: u64) {
        let done = self.done.fetch_add(n, Ordering::Relaxed) + n;
        match &self.output {
            Output::Bar(bar) => bar.set_position(done),
            Output::Lines { last_line, message } => {
                let Ok(mut last_line) = last_line.try_lock() else {
                    return;
                };
                if last_line.elapsed() >= LINE_INTERVAL {
                    *last_line = Instant::now();
                    let message = message.lock().map(|message| message.clone()).unwrap_or_default();
                    self.print_line(done, &message);
                }
            }
        }
    }

    /// Sets a short text that is shown after the numbers, such as the loss.
    pub fn message(&self, text: impl Into<String>) {
        match &self.output {
            Output::Bar(bar) => bar.set_message(text.into()),
            Output::Lines { message, .. } => {
                if let Ok(mut message) = message.lock() {
                    *message = text.into();
                }
            }
        }
    }

    /// Prints a line, above the bar if there is one.
    pub fn println(&self, text: &str) {
        match &self.output {
            Output::Bar(bar) => bar.suspend(|| line(text)),
            Output::Lines { .. } => line(text),
        }
    }

    /// Removes the bar.
    pub fn clear(&self) {
        if let Output::Bar(bar) = &self.output {
            bar.finish_and_clear();
        }
    }

    /// Units per second since the start.
    pub fn rate(&self) -> f64 {
        self.done.load(Ordering::Relaxed) as f64 / self.start.elapsed().as_secs_f64().max(1e-9)
    }

    /// Replaces the bar with one line: the units done, the time and the rate.
    pub fn finish(&self) {
        self.clear();
        let done = self.done.load(Ordering::Relaxed);
        let seconds = self.start.elapsed().as_secs_f64();
        line(&format!("{}: {done} {} in {seconds:.1} s ({:.1}/s)", self.task, self.unit, self.rate()));
    }

    fn print_line(&self, done: u64, message: &str) {
        let Progress { task, unit, .. } = self;
        let rate = self.rate();
        let message = if message.is_empty() { String::new() } else { format!(", {message}") };
        match self.total.get() {
            Some(total) => {
                let left = total.saturating_sub(done) as f64 / rate.max(1e-9);
                line(&format!("{task}: {done}/{total} {unit}, {rate:.1}/s, {left:.0} s left{message}"));
            }
            None => line(&format!("{task}: {done} {unit}, {rate:.1}/s{message}")),
        }
    }
}

/// Prints a line to standard error. Characters of names that would control the terminal are replaced. Ignores errors,
/// because a closed standard error must not end the program.
pub fn line(text: &str) {
    if SILENT.load(Ordering::Relaxed) {
        return;
    }
    let _ = writeln!(std::io::stderr(), "{}", visible_lines(text));
}

/// Formats a number of bytes for people: "640 kB", "1.2 GB".
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if value < 1000 {
        return format!("{value} B");
    }
    let mut scaled = value as f64 / 1000.0;
    let mut unit = 0;
    while scaled >= 999.5 && unit + 1 < UNITS.len() {
        scaled /= 1000.0;
        unit += 1;
    }
    // One decimal would round 9.95 to "10.0".
    let decimals = usize::from(scaled < 9.95);
    format!("{scaled:.decimals$} {}", UNITS[unit])
}

fn bar(task: &str, unit: &str, total: Option<u64>) -> ProgressBar {
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    bar.set_style(style(task, unit, total.is_some()));
    bar
}

fn style(task: &str, unit: &str, has_total: bool) -> ProgressStyle {
    let template = if has_total {
        format!("{task} {{wide_bar}} {{pos}}/{{len}} {unit} {{per_sec}} {{eta}} left {{msg}}")
    } else {
        format!("{task} {{spinner}} {{pos}} {unit} {{per_sec}} {{msg}}")
    };
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_bytes_with_two_or_three_digits() {
        let check = |value, text| assert_eq!(bytes(value), text);
        check(0, "0 B");
        check(999, "999 B");
        check(1_000, "1.0 kB");
        check(9_960, "10 kB");
        check(94_371_840, "94 MB");
        check(999_600_000, "1.0 GB");
        check(12_000_000_000_000_000, "12000 TB");
    }
}
