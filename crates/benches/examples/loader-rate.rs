//! Measures the rate of the training loader in shuffled images per second, without training.
//!
//! `cargo run --release -p benches --example loader-rate -- runs/NAME/ingest [BATCH [SECONDS]]`
//!
//! Prints each rate to standard error, and as a line of JSON for `cargo xtask bench`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use artifacts::Split;
use artifacts::progress::line;
use artifacts::shard::ShardSet;
use artifacts::stage::print_json;
use serde_json::json;
use train::{Augment, EpochBatches, Images, Jpeg, Loader};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let ingest = PathBuf::from(arguments.next().ok_or("usage: loader-rate INGEST [BATCH [SECONDS]]")?);
    let batch: usize = arguments.next().map_or(Ok(32), |text| text.parse())?;
    let seconds: f64 = arguments.next().map_or(Ok(5.0), |text| text.parse())?;
    let shards = Arc::new(ShardSet::open(&ingest)?.split(Split::Train)?);
    let [height, width] = shards.size();
    let threads = rayon::current_num_threads();
    line(&format!("{} images of {width}x{height}, batches of {batch}, {threads} cores", shards.len()));

    let split = Arc::new(Images::pixels(shards));
    let off = Augment::default();
    let flip = Augment { flip: true, ..off };
    let jpeg = Augment { jpeg: Jpeg { probability: 1.0, ..Jpeg::default() }, ..off };
    for (name, augment) in [("plain", off), ("flip", flip), ("jpeg", jpeg)] {
        let (start, mut images) = (Instant::now(), 0);
        for epoch in 1.. {
            let mut loader = Loader::start(EpochBatches::shuffled(&split, batch, &augment, 0, epoch), 0);
            while let Some(batch) = loader.next_batch() {
                let batch = batch?;
                images += batch.len();
                loader.recycle(batch);
            }
            if start.elapsed().as_secs_f64() >= seconds {
                break;
            }
        }
        let rate = images as f64 / start.elapsed().as_secs_f64();
        line(&format!("{name}: {rate:.0} images/s, {:.0} MB/s", rate * (height * width * 3) as f64 / 1e6));
        let program = format!("{threads} cores, batches of {batch}");
        print_json(&json!({ "name": name, "program": program, "value": rate, "unit": "images/s" }))
            .map_err(|failure| failure.chain())?;
    }
    Ok(())
}
