//! Measures what the processes of one training exchange in a step: the gradients and running statistics of a ResNet-50,
//! and with synchronised batch norm two sums for each of its norms.
//!
//! `cargo build --release --workspace --examples --features train/mpi`, then
//! `mpirun -n 2 target/release/examples/exchange-rate [REPEATS]`
//!
//! The first process prints the milliseconds of each as a line of JSON.

use std::time::Instant;

use artifacts::stage::print_json;
use exchange::{Exchange, connect};
use serde_json::json;

/// Parameters of a ResNet-50 with two classes.
const PARAMETERS: usize = 23_512_130;
/// Values of its running statistics.
const STATISTICS: usize = 53_120;
/// Its batch norms, and the mean number of their channels.
const NORMS: usize = 53;
const CHANNELS: usize = STATISTICS / 2 / NORMS;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let repeats: u32 = std::env::args().nth(1).map_or(Ok(20), |text| text.parse())?;
    let connection = connect()?;
    let exchange: &dyn Exchange = &**connection.exchange();
    let mut gradients = vec![1e-3_f32; PARAMETERS + STATISTICS];
    let mut norm = vec![1e-3_f64; 2 * CHANNELS + 1];
    let measure = |name: &str, step: &mut dyn FnMut()| {
        // The first call connects the processes and allocates buffers.
        step();
        let mut times: Vec<f64> = (0..repeats)
            .map(|_| {
                let start = Instant::now();
                step();
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let program = format!("{} processes", exchange.world());
        let value = times[times.len() / 2];
        exchange
            .is_first()
            .then(|| print_json(&json!({ "name": name, "program": program, "value": value, "unit": "ms" })))
    };
    let results = [
        measure("gradients", &mut || exchange.sum_f32(&mut gradients)),
        measure("norms", &mut || (0..2 * NORMS).for_each(|_| exchange.sum(&mut norm))),
        measure("flags", &mut || exchange.agree(&mut [false, false, false])),
    ];
    for result in results.into_iter().flatten() {
        result.map_err(|failure| failure.chain())?;
    }
    Ok(())
}
