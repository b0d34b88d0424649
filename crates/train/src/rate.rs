//! How fast this machine trains, measured before a long training starts.

use std::time::{Duration, Instant};

use artifacts::schema::TrainingRate;
use model::{Adam, Network, NetworkConfig, PixelBatch};

use crate::config::Config;
use crate::error::Error;
use crate::unread::Unread;

/// What is measured takes at least so long: single steps of a shared machine differ by half.
const LONG_ENOUGH: Duration = Duration::from_secs(3);

/// Trains for some seconds, as `config` says, on images of `size` x `size` pixels without meaning.
///
/// # Errors
/// Those of the device and of the network.
pub fn rate(config: &Config, size: usize) -> Result<TrainingRate, Error> {
    let device = config.device.open(config.precision).map_err(model::Error::from)?;
    let mut network = Network::new(&NetworkConfig::default(), &device)?;
    network.initialise(config.seed)?;
    let mut adam = Adam::new(config.adam(), &network)?;
    let n = config.batch;
    let data: Vec<u8> = (0..n * size * size * 3).map(|i| (i * 31 % 251) as u8).collect();
    let labels: Vec<u8> = (0..n).map(|i| (i % 2) as u8).collect();
    let mut step = |network: &mut Network| -> Result<(), Error> {
        network.start_step(&PixelBatch { data: &data, n, height: size, width: size }, &labels)?;
        Ok(adam.step(network)?)
    };
    // The first step plans what all others use.
    step(&mut network)?;
    network.finished_steps()?;
    let start = Instant::now();
    let mut steps = 0;
    // As in a training, a card is not waited for after each step.
    let mut unread = Unread::none();
    while steps == 0 || start.elapsed() < LONG_ENOUGH {
        step(&mut network)?;
        unread.push(&labels);
        steps += 1;
        if unread.is_due() {
            unread.read(&mut network)?;
        }
    }
    unread.read(&mut network)?;
    let images_per_second = (steps * n) as f64 / start.elapsed().as_secs_f64();
    Ok(TrainingRate { device: device.to_string(), images_per_second })
}

#[cfg(test)]
mod tests {
    use model::device::DeviceChoice;

    use super::*;

    #[test]
    fn a_rate_is_measured_at_the_size_asked_for() {
        let config = Config { device: DeviceChoice::Cpu, batch: 2, ..Config::default() };
        let small = rate(&config, 32).unwrap();
        assert!(small.images_per_second > 0.0 && small.device.starts_with("cpu"));
        assert!(rate(&config, 1).is_err(), "no network sees an image of one pixel");
    }
}
