//! What judging costs: all metrics with their intervals, for more and more predictions.
//!
//! ```sh
//! cargo run --release -p benches --example scale -- 10000 100000 1000000
//! ```
//!
//! Time and processor time depend on what else the machine does; the latter less. Peak memory is the process's, so the
//! numbers should rise.

#![expect(clippy::print_stdout, reason = "a table for people")]

use std::time::Instant;

use artifacts::Label;
use artifacts::hash::Hash;
use artifacts::predictions::Prediction;
use artifacts::random::stream;
use evaluate::bootstrap::DEFAULT_RESAMPLES;
use evaluate::calibration::{BandLimits, sigmoid};
use evaluate::judge::{Fit, RunPlan, Scored, judge_run};
use rand::RngExt;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<usize> = std::env::args().skip(1).map(|n| n.parse()).collect::<Result<_, _>>()?;
    let sizes = if given.is_empty() { vec![10_000, 100_000, 1_000_000] } else { given };
    println!("{DEFAULT_RESAMPLES} resamples, {} threads", rayon::current_num_threads());
    println!("{:>12} {:>9} {:>11} {:>20} {:>10}", "predictions", "seconds", "processor", "µs of it each", "peak MB");
    for n in sizes {
        let predictions = simulate(n);
        let fit = Fit::new(&Scored::of(&predictions), BandLimits::default())?;
        let (start, before) = (Instant::now(), processor_seconds());
        let metrics = judge_run(&predictions, fit.as_ref(), RunPlan { run: 0, resamples: DEFAULT_RESAMPLES, seed: 0 })?;
        let (seconds, processor) = (start.elapsed().as_secs_f64(), processor_seconds() - before);
        assert!(metrics.intervals.contains_key("roc_auc"));
        println!(
            "{n:>12} {seconds:>9.2} {processor:>11.2} {:>20.2} {:>10.0}",
            1e6 * processor / n as f64,
            peak_megabytes()
        );
    }
    Ok(())
}

/// Predictions of both classes, their logits logistic around -1 and 1.
fn simulate(n: usize) -> Vec<Prediction> {
    let mut rng = stream(11, "scale", &[n as u64]);
    (0..n)
        .map(|i| {
            let label = Label::ALL[i % 2];
            let u: f64 = rng.random_range(1e-12..1.0);
            let logit = (u / (1.0 - u)).ln() + if label == Label::Fake { 1.0 } else { -1.0 };
            let p_fake = sigmoid(logit);
            Prediction {
                id: Hash::of(&(i as u64).to_le_bytes()),
                path: format!("test/{label}/{i:08}.jpg"),
                label,
                generator: String::new(),
                run: 0,
                logit_real: 0.0,
                logit_fake: logit as f32,
                p_fake,
                p_fake_calibrated: None,
                predicted: if p_fake >= 0.5 { Label::Fake } else { Label::Real },
            }
        })
        .collect()
}

/// Time that all threads have run so far, where the system tells: fields 14 and 15 of proc_pid_stat(5), in hundredths.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = text.rsplit(") ").next().unwrap_or_default();
    after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The most memory that the process ever held, where the system tells.
fn peak_megabytes() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    kilobytes.and_then(|kilobytes| kilobytes.trim().parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}
