//! Training throughput of this machine, measured before a long training starts.

use std::rc::Rc;
use std::time::{Duration, Instant};

use artifacts::schema::TrainingRate;
use exchange::Alone;
use model::Network;

use crate::config::Config;
use crate::error::Error;
use crate::learner::{Learner, NetworkLearner};
use crate::loader::Batch;
use crate::pending_batches::{LaunchedBatch, PendingBatches};

/// The shortest measurement. On a shared machine, the durations of single steps may differ by 50%.
const MIN_DURATION: Duration = Duration::from_secs(3);

/// Measures training steps per second on synthetic images of `size` x `size` pixels, with the batch size, device and
/// precision of `config`.
///
/// # Errors
/// The device cannot be opened, or a step fails: the images are too small for the network, or memory is exhausted.
pub fn measure_throughput(config: &Config, size: usize) -> Result<TrainingRate, Error> {
    let device = config.device.open(config.precision).map_err(model::Error::from)?;
    let mut network = Network::new(&config.network(), &device)?;
    network.initialise(config.seed)?;
    let mut learner = NetworkLearner::new(network, config, Rc::new(Alone))?;
    let n = config.batch;
    let data: Vec<u8> = (0..n * size * size * 3).map(|i| (i * 31 % 251) as u8).collect(); // [n, size, size, 3]
    let labels: Vec<u8> = (0..n).map(|i| (i % 2) as u8).collect(); // [n]
    let batch = Batch::of_pixels(data, labels, [size, size]);
    let learning_rate = config.learning_rate();
    // Warm up: the first step allocates the buffers that later steps reuse.
    learner.start_batch(&batch, Some(learning_rate))?;
    learner.finished_batches()?;
    let start = Instant::now();
    let mut batches = 0;
    // Results are read in groups, as the training loop does.
    let mut pending = PendingBatches::new();
    while batches == 0 || start.elapsed() < MIN_DURATION {
        let is_last = (batches + 1) % config.accumulate == 0;
        learner.start_batch(&batch, is_last.then_some(learning_rate))?;
        batches += 1;
        pending.push(LaunchedBatch {
            step: batches as u64,
            ends_step: is_last,
            labels: batch.labels().to_vec(),
            images_of_all: n,
            share: 1.0,
        });
        if pending.should_read() {
            pending.read(&mut learner)?;
        }
    }
    pending.read(&mut learner)?;
    let images_per_second = (batches * n) as f64 / start.elapsed().as_secs_f64();
    Ok(TrainingRate { device: device.to_string(), images_per_second })
}

#[cfg(test)]
mod tests {
    use model::device::DeviceChoice;

    use super::*;

    #[test]
    fn measures_images_of_the_given_size() {
        let config = Config { device: DeviceChoice::Cpu, batch: 2, ..Config::default() };
        let small = measure_throughput(&config, 32).unwrap();
        assert!(small.images_per_second > 0.0 && small.device.starts_with("cpu"));
        assert!(measure_throughput(&config, 1).is_err(), "an image of one pixel is too small for the network");
    }
}
