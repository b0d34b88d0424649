//! What can be typed after `cargo xtask bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::only::Only;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    /// Measure only these: parts (peak, train, infer, norm, layers, loader, ingest), or results by name or its beginning
    /// (cpu.train.f32.b16, cpu.infer) [default: all that the device has]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) only: Vec<Only>,
    /// A Python with the peers (xtask/peers/requirements.txt); what it lacks is said in the tables
    #[arg(long, value_name = "PATH")]
    pub(crate) peer_python: Option<PathBuf>,
    /// How often everything is measured, Candling and its peers in turn; medians are given
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// How long each measurement of a round takes, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 8.0, value_parser = positive)]
    pub(crate) seconds: f64,
    /// Where to compute
    #[arg(long, value_enum, default_value = "cpu")]
    pub(crate) device: Device,
    /// Images in a batch [default: 16,32 on the CPU, 64,128,256 on a card]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) batch: Vec<u32>,
    /// Height and width of the images that networks see
    #[arg(long, value_name = "PIXELS", default_value_t = 224, value_parser = clap::value_parser!(u32).range(32..=4096))]
    pub(crate) size: u32,
    /// What networks compute in [default: f32,bf16 on the CPU, bf16 on a card]
    #[arg(long, value_enum, value_name = "NAME", value_delimiter = ',')]
    pub(crate) precision: Vec<Precision>,
    /// A folder of JPEGs for ingest [default: simulated ones of 256 and 512 pixels, made under target/bench]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) images: Option<PathBuf>,
    /// Both sides' malloc: large blocks kept and on huge pages, or as the system has it
    #[arg(long, value_enum, default_value = "tuned")]
    pub(crate) malloc: Malloc,
    /// Write the results as JSON: a list of {name, ours, peer_name, peer, ratio, unit}
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the device's section of this page [default: docs/performance.md, unless --only is given]
    #[arg(long, value_name = "FILE")]
    pub(crate) page: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Candling and each peer are run in turn, in every round, by programs of their own, so that a machine that is throttled for a
while slows all of them down. A ratio is Candling's median over the peer's; above 1 Candling is faster, or takes less memory.

  cargo xtask bench --peer-python PYTHON                 everything, and docs/performance.md from it
  cargo xtask bench --only train --batch 16 --rounds 1   a first look at the training step
  cargo xtask bench --only peak,layers                   single layers beside what the machine can do at most
  cargo xtask bench --only cpu.train.f32.b16             one result
  cargo xtask bench --only ingest --images FOLDER        your own JPEGs
  cargo xtask bench --device cuda --peer-python PYTHON   on a CUDA card

A Python with the peers: python3 -m venv peer && peer/bin/pip install -r xtask/peers/requirements.txt";

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Part {
    /// What the machine can do at most: arithmetic and copying memory
    Peak,
    /// A training step: forward, backward, Adam
    Train,
    /// Inference
    Infer,
    /// The batch norms of ResNet-50 by themselves, beside cuDNN's (card)
    Norm,
    /// Single convolutions of ResNet-50 (CPU)
    Layers,
    /// Shuffled batches out of shards (CPU)
    Loader,
    /// JPEGs to shards (CPU)
    Ingest,
}

/// Where to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Device {
    /// This processor
    Cpu,
    /// The first CUDA card
    Cuda,
}

/// What networks compute in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Precision {
    /// 32-bit floating point
    F32,
    /// bfloat16 operands, sums in f32
    Bf16,
}

/// How memory is allocated on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Malloc {
    /// glibc keeps large blocks, and takes them from huge pages
    Tuned,
    /// As the system has it
    Default,
}

impl Part {
    pub(crate) const ALL: [Part; 7] =
        [Part::Peak, Part::Train, Part::Infer, Part::Norm, Part::Layers, Part::Loader, Part::Ingest];

    /// What the names of its results begin with.
    pub(crate) fn stem(self, device: Device) -> String {
        let device = device.name();
        match self {
            Part::Peak => format!("{device}.peak"),
            Part::Train => format!("{device}.train"),
            Part::Infer => format!("{device}.infer"),
            Part::Norm => format!("{device}.norm"),
            Part::Layers => format!("{device}.layer"),
            Part::Loader => format!("{device}.loader"),
            Part::Ingest => "ingest".to_owned(),
        }
    }
}

impl Device {
    /// As in the names of results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Device::Cpu => "cpu",
            Device::Cuda => "cuda",
        }
    }
}

impl Precision {
    /// As in the names of results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        }
    }
}

impl BenchArgs {
    /// The parts to measure, in their order; on a card those that have something to do with it.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let asked =
            |part: &Part| self.only.is_empty() || self.only.iter().any(|only| only.concerns(*part, self.device));
        self.parts_of_device().filter(asked).collect()
    }

    /// All parts that have something to do with the device.
    pub(crate) fn parts_of_device(&self) -> impl Iterator<Item = Part> {
        let device = self.device;
        Part::ALL.into_iter().filter(move |part| match part {
            Part::Peak | Part::Train | Part::Infer => true,
            Part::Norm => device == Device::Cuda,
            Part::Layers | Part::Loader | Part::Ingest => device == Device::Cpu,
        })
    }

    /// Sizes of the batches.
    pub(crate) fn batches(&self) -> Vec<u32> {
        match (self.batch.as_slice(), self.device) {
            ([], Device::Cpu) => vec![16, 32],
            ([], Device::Cuda) => vec![64, 128, 256],
            (given, _) => given.to_vec(),
        }
    }

    /// What to compute in.
    pub(crate) fn precisions(&self) -> Vec<Precision> {
        match (self.precision.as_slice(), self.device) {
            ([], Device::Cpu) => vec![Precision::F32, Precision::Bf16],
            ([], Device::Cuda) => vec![Precision::Bf16],
            (given, _) => given.to_vec(),
        }
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 3600.0 => Ok(value),
        _ => Err("a number of seconds above 0, and at most 3600".to_owned()),
    }
}
