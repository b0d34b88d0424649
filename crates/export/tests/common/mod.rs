//! Checkpoints of networks that have seen a few random images.

use std::path::{Path, PathBuf};

use artifacts::Checkpoint;
use artifacts::stage::Failure;
use export::cli::{ExportArgs, Format, export};
use model::device::Device;
use model::{Network, NetworkConfig, Normalisation, PixelBatch};
use pipeline_tests::untrained::write_checkpoint;

/// The side of the images.
pub(crate) const SIDE: usize = 40;

/// Returns pixels of `n` images without a pattern.
pub(crate) fn pixels(n: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..n * SIDE * SIDE * 3).map(|_| byte()).collect()
}

/// Writes a checkpoint whose running statistics are not those of a new network.
pub(crate) fn checkpoint(dir: &Path, architecture: &str) -> PathBuf {
    let checkpoint = Checkpoint::new(dir.join("checkpoint"));
    std::fs::create_dir(checkpoint.path()).unwrap();
    let normalisation = Normalisation { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
    let config = NetworkConfig { arch: architecture.to_owned(), classes: 2, normalisation };
    let mut network = Network::new(&config, &Device::Cpu).unwrap();
    network.initialise(5).unwrap();
    let data = pixels(4);
    for _ in 0..2 {
        network.train_step(&PixelBatch { data: &data, n: 4, height: SIDE, width: SIDE }, &[0, 1, 0, 1]).unwrap();
    }
    write_checkpoint(&checkpoint, &network, SIDE as u32);
    checkpoint.path().to_owned()
}

/// Exports a checkpoint.
pub(crate) fn export_to(checkpoint: &Path, format: Format, out: &Path) -> Result<(), Failure> {
    let ckpt = checkpoint.to_string_lossy().into_owned();
    export(&ExportArgs { run_dir: None, ckpt, format, out: out.to_owned() })
}
