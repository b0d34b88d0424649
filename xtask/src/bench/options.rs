//! The choices for a benchmark: part, device, precision and malloc settings.

use clap::ValueEnum;

/// A group of benchmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Part {
    /// The machine's peak arithmetic and memory bandwidth
    Peak,
    /// A training step: forward, backward, Adam
    Train,
    /// Inference
    Infer,
    /// A training step of a detector with two trained branches, ResNet-50 and patches (CPU only)
    Branches,
    /// Features of a vision transformer, ViT-B/16 (CPU only)
    Vit,
    /// The batch norms of ResNet-50 alone, beside cuDNN's (CUDA only)
    Norm,
    /// Single convolutions of ResNet-50 (CPU only)
    Layers,
    /// Shuffled batches from shards (CPU only)
    Loader,
    /// JPEG files to shards (CPU only)
    Ingest,
    /// A verdict on one picture by a program that is started for it (CPU only)
    Predict,
}

/// The device to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Device {
    /// This processor
    Cpu,
    /// The first CUDA card
    Cuda,
}

/// The element type that networks compute in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Precision {
    /// 32-bit floating point
    F32,
    /// bfloat16 operands, sums in f32
    Bf16,
}

/// The malloc settings of all measured programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Malloc {
    /// glibc keeps large blocks, and puts them on huge pages
    Tuned,
    /// The system's default
    Default,
}

impl Part {
    /// Every part, in the order of measurement.
    pub(crate) const ALL: [Part; 10] = [
        Part::Peak,
        Part::Train,
        Part::Infer,
        Part::Branches,
        Part::Vit,
        Part::Norm,
        Part::Layers,
        Part::Loader,
        Part::Ingest,
        Part::Predict,
    ];

    /// Returns the first words of the names of this part's results, such as `cpu.train`.
    pub(crate) fn prefix(self, device: Device) -> String {
        let device = device.name();
        match self {
            Part::Peak => format!("{device}.peak"),
            Part::Train => format!("{device}.train"),
            Part::Infer => format!("{device}.infer"),
            Part::Branches => format!("{device}.branches"),
            Part::Vit => format!("{device}.vit"),
            Part::Norm => format!("{device}.norm"),
            Part::Layers => format!("{device}.layer"),
            Part::Loader => format!("{device}.loader"),
            Part::Ingest => "ingest".to_owned(),
            Part::Predict => "predict".to_owned(),
        }
    }
}

impl Device {
    /// Returns the name as it appears in names of results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Device::Cpu => "cpu",
            Device::Cuda => "cuda",
        }
    }
}

impl Precision {
    /// Returns the name as it appears in names of results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        }
    }
}
