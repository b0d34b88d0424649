//! Progress with rate and remaining time: a bar on a terminal, a plain line now and then elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How long a plain log stays silent between two lines.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// The progress of one piece of work, on standard error. It may be shared between threads.
pub struct Progress {
    what: String,
    unit: String,
    total: Option<u64>,
    start: Instant,
    done: AtomicU64,
    output: Output,
}

enum Output {
    Bar(ProgressBar),
    Plain { last: Mutex<Instant>, message: Mutex<String> },
}

impl Progress {
    /// Starts counting `unit`s ("images") towards `total`, if it is known.
    pub fn new(what: impl Into<String>, unit: impl Into<String>, total: Option<u64>) -> Progress {
        let (what, unit) = (what.into(), unit.into());
        let output = if std::io::stderr().is_terminal() {
            Output::Bar(bar(&what, &unit, total))
        } else {
            Output::Plain { last: Mutex::new(Instant::now()), message: Mutex::default() }
        };
        Progress { what, unit, total, start: Instant::now(), done: AtomicU64::new(0), output }
    }

    /// Counts `n` more.
    pub fn add(&self, n: u64) {
        let done = self.done.fetch_add(n, Ordering::Relaxed) + n;
        match &self.output {
            Output::Bar(bar) => bar.set_position(done),
            Output::Plain { last, message } => {
                let Ok(mut last) = last.try_lock() else {
                    return;
                };
                if last.elapsed() >= PLAIN_INTERVAL {
                    *last = Instant::now();
                    let message = message.lock().map(|message| message.clone()).unwrap_or_default();
                    self.print_line(done, &message);
                }
            }
        }
    }

    /// Adds a word of context, such as the loss.
    pub fn message(&self, text: impl Into<String>) {
        match &self.output {
            Output::Bar(bar) => bar.set_message(text.into()),
            Output::Plain { message, .. } => {
                if let Ok(mut message) = message.lock() {
                    *message = text.into();
                }
            }
        }
    }

    /// Says one line that stays, above the bar where there is one.
    pub fn say(&self, text: &str) {
        match &self.output {
            Output::Bar(bar) => bar.suspend(|| line(text)),
            Output::Plain { .. } => line(text),
        }
    }

    /// Ends the bar and leaves nothing behind.
    pub fn clear(&self) {
        if let Output::Bar(bar) = &self.output {
            bar.finish_and_clear();
        }
    }

    /// Units a second since the start.
    pub fn rate(&self) -> f64 {
        self.done.load(Ordering::Relaxed) as f64 / self.start.elapsed().as_secs_f64().max(1e-9)
    }

    /// Ends the bar and leaves one line that says how much was done and how fast.
    pub fn finish(&self) {
        self.clear();
        let done = self.done.load(Ordering::Relaxed);
        let seconds = self.start.elapsed().as_secs_f64();
        line(&format!("{}: {done} {} in {seconds:.1} s ({:.1}/s)", self.what, self.unit, self.rate()));
    }

    fn print_line(&self, done: u64, message: &str) {
        let Progress { what, unit, .. } = self;
        let rate = self.rate();
        let message = if message.is_empty() { String::new() } else { format!(", {message}") };
        match self.total {
            Some(total) => {
                let left = total.saturating_sub(done) as f64 / rate.max(1e-9);
                line(&format!("{what}: {done}/{total} {unit}, {rate:.1}/s, {left:.0} s left{message}"));
            }
            None => line(&format!("{what}: {done} {unit}, {rate:.1}/s{message}")),
        }
    }
}

/// Says one line on standard error, below any bar. A closed standard error is not this program's failure.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A number of bytes, for people: "640 kB", "1.2 GB".
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
    // 9.95 would be rounded to "10.0".
    let decimals = usize::from(scaled < 9.95);
    format!("{scaled:.decimals$} {}", UNITS[unit])
}

fn bar(what: &str, unit: &str, total: Option<u64>) -> ProgressBar {
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let template = match total {
        Some(_) => {
            format!("{what} {{wide_bar}} {{pos}}/{{len}} {unit} {{per_sec}} {{eta}} left {{msg}}")
        }
        None => format!("{what} {{spinner}} {{pos}} {unit} {{per_sec}} {{msg}}"),
    };
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_two_or_three_digits_and_a_unit() {
        let said = |value, text| assert_eq!(bytes(value), text);
        said(0, "0 B");
        said(999, "999 B");
        said(1_000, "1.0 kB");
        said(9_960, "10 kB");
        said(94_371_840, "94 MB");
        said(999_600_000, "1.0 GB");
        said(12_000_000_000_000_000, "12000 TB");
    }
}
