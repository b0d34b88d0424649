//! Measures the time and memory of computing all metrics with their intervals, by the number of predictions.
//!
//! ```sh
//! cargo run --release -p benches --example scale -- 10000 100000 1000000
//! ```
//!
//! Other load on the machine affects wall time more than processor time. The peak memory is the maximum since the
//! process started, so pass increasing numbers.

#![expect(clippy::print_stdout, reason = "prints a table")]

use std::collections::BTreeMap;
use std::time::Instant;

use artifacts::Label;
use artifacts::hash::Hash;
use artifacts::predictions::Prediction;
use artifacts::random::stream;
use artifacts::statistics::sigmoid;
use benches::{peak_bytes, processor_seconds};
use evaluate::bootstrap::{DEFAULT_RESAMPLES, Resampling};
use evaluate::calibration::BandLimits;
use evaluate::measure::{RunOptions, ScoredImages, ValidationFit, measure_run};
use rand::RngExt;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<usize> = std::env::args().skip(1).map(|n| n.parse()).collect::<Result<_, _>>()?;
    let sizes = if given.is_empty() { vec![10_000, 100_000, 1_000_000] } else { given };
    println!("{DEFAULT_RESAMPLES} resamples, {} threads", rayon::current_num_threads());
    println!("{:>12} {:>9} {:>11} {:>20} {:>10}", "predictions", "seconds", "processor", "µs each", "peak MB");
    for n in sizes {
        let predictions = simulate(n);
        let fit = ValidationFit::new(&ScoredImages::of(&predictions), BandLimits::default())?;
        let (start, before) = (Instant::now(), processor_seconds());
        let resampling = Resampling { resamples: DEFAULT_RESAMPLES, seed: 0 };
        let metrics = measure_run(&predictions, fit.as_ref(), RunOptions { run: 0, resampling })?;
        let (seconds, processor) = (start.elapsed().as_secs_f64(), processor_seconds() - before);
        assert!(metrics.intervals.contains_key("roc_auc"));
        println!(
            "{n:>12} {seconds:>9.2} {processor:>11.2} {:>20.2} {:>10.0}",
            1e6 * processor / n as f64,
            peak_bytes().map_or(f64::NAN, |bytes| bytes as f64 / 1e6)
        );
    }
    Ok(())
}

/// Returns predictions of both classes with logits from logistic distributions around -1 and 1.
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
                branches: BTreeMap::new(),
                columns: BTreeMap::new(),
            }
        })
        .collect()
}
