//! The arguments of `cargo xtask bench`.

use std::path::PathBuf;

use clap::Args;

use super::filter::Filter;
use super::options::{Device, Malloc, Part, Precision};

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    /// Measure only these parts (peak, train, infer, branches, vit, norm, layers, loader, ingest, predict) or these
    /// results, given by name or by the start of their names (cpu.train.f32.b16, cpu.infer) [default: all parts of the
    /// device]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) only: Vec<Filter>,
    /// A Python interpreter with the peers installed (xtask/peers/requirements.txt); the tables note missing ones
    #[arg(long, value_name = "PATH")]
    pub(crate) peer_python: Option<PathBuf>,
    /// Number of rounds; each round measures Candling and its peers in turn, and results are medians of the rounds
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Duration of each measurement of a round
    #[arg(long, value_name = "SECONDS", default_value_t = 8.0, value_parser = parse_seconds)]
    pub(crate) seconds: f64,
    /// The device to measure
    #[arg(long, value_enum, default_value = "cpu")]
    pub(crate) device: Device,
    /// Images in a batch [default: 16,32 on the CPU, 64,128,256 on a card]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) batch: Vec<u32>,
    /// Height and width of the networks' input images
    #[arg(long, value_name = "PIXELS", default_value_t = 224, value_parser = clap::value_parser!(u32).range(32..=4096))]
    pub(crate) size: u32,
    /// Element type of the networks' convolutions [default: f32,bf16 on the CPU, bf16 on a card]
    #[arg(long, value_enum, value_name = "NAME", value_delimiter = ',')]
    pub(crate) precision: Vec<Precision>,
    /// A folder of JPEG files for ingest [default: simulated images of 256 and 512 pixels, written to target/bench]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) images: Option<PathBuf>,
    /// The malloc settings of Candling and the peers: glibc keeps large blocks and uses huge pages, or the system's
    /// default
    #[arg(long, value_enum, default_value = "tuned")]
    pub(crate) malloc: Malloc,
    /// Write the results as JSON: a list of {name, ours, peer_name, peer, ratio, unit}
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the tables to the device's section of this Markdown page [default: docs/performance.md, unless --only is
    /// given]
    #[arg(long, value_name = "FILE")]
    pub(crate) page: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Every round runs Candling and each peer in turn, as separate processes, so that a temporary slowdown of the machine
affects all of them. A ratio is Candling's median divided by the peer's (for memory, the reverse): above 1, Candling is
faster or takes less memory.

  cargo xtask bench --peer-python PYTHON                 all parts, and the section in docs/performance.md
  cargo xtask bench --only train --batch 16 --rounds 1   a quick measurement of the training step
  cargo xtask bench --only peak,layers                   single layers beside the machine's peak
  cargo xtask bench --only cpu.train.f32.b16             one result
  cargo xtask bench --only ingest --images FOLDER        your own JPEG files
  cargo xtask bench --device cuda --peer-python PYTHON   on a CUDA card

To install a Python with the peers: python3 -m venv peer && peer/bin/pip install -r xtask/peers/requirements.txt";

impl BenchArgs {
    /// Returns the parts to measure, in order.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let selected = |part: &Part| {
            self.only.is_empty() || self.only.iter().any(|filter| filter.may_select_from(*part, self.device))
        };
        self.parts_of_device().filter(selected).collect()
    }

    /// Returns all parts that can be measured on the device.
    pub(crate) fn parts_of_device(&self) -> impl Iterator<Item = Part> {
        let device = self.device;
        Part::ALL.into_iter().filter(move |part| match part {
            Part::Peak | Part::Train | Part::Infer => true,
            Part::Norm => device == Device::Cuda,
            Part::Branches | Part::Vit | Part::Layers | Part::Loader | Part::Ingest | Part::Predict => {
                device == Device::Cpu
            }
        })
    }

    /// Returns the given batch sizes, or the defaults of the device.
    pub(crate) fn batches(&self) -> Vec<u32> {
        match (self.batch.as_slice(), self.device) {
            ([], Device::Cpu) => vec![16, 32],
            ([], Device::Cuda) => vec![64, 128, 256],
            (given, _) => given.to_vec(),
        }
    }

    /// Returns the given precisions, or the defaults of the device.
    pub(crate) fn precisions(&self) -> Vec<Precision> {
        match (self.precision.as_slice(), self.device) {
            ([], Device::Cpu) => vec![Precision::F32, Precision::Bf16],
            ([], Device::Cuda) => vec![Precision::Bf16],
            (given, _) => given.to_vec(),
        }
    }
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 3600.0 => Ok(value),
        _ => Err("must be a number of seconds above 0 and at most 3600".to_owned()),
    }
}
