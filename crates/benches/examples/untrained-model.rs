//! Writes a checkpoint of a ResNet-50 with random weights, for `cargo xtask bench`.
//!
//! `cargo run --release -p benches --example untrained-model -- target/bench/resnet50`

use std::path::PathBuf;
use std::process::ExitCode;

use artifacts::schema::ModelConfig;
use artifacts::stage::{self, Failure};
use artifacts::{Checkpoint, atomic};
use clap::Parser;
use model::device::Device;
use model::{Network, NetworkConfig, Normalisation};
use pixels::Recipe;

/// Writes weights, architecture and preprocessing into a folder, unless it has them.
#[derive(Parser)]
struct Args {
    /// The folder
    folder: PathBuf,
    /// Height and width of the images
    #[arg(long, default_value_t = 224)]
    size: u32,
}

fn main() -> ExitCode {
    stage::finish("untrained-model", write(&Args::parse()))
}

fn write(args: &Args) -> Result<(), Failure> {
    let checkpoint = Checkpoint::new(&args.folder);
    // The last file that is written.
    if checkpoint.preprocessor_config().exists() {
        return Ok(());
    }
    std::fs::create_dir_all(&args.folder).map_err(Failure::failed)?;
    let mut network = Network::zeros(&NetworkConfig::default(), &Device::Cpu).map_err(Failure::failed)?;
    network.initialise(1).map_err(Failure::failed)?;
    network.save(&checkpoint.weights(), &Default::default()).map_err(Failure::failed)?;
    let NetworkConfig { arch, normalisation: Normalisation { mean, std }, .. } = network.config();
    atomic::write_json(&checkpoint.model_config(), &ModelConfig::detector(arch))?;
    let recipe = Recipe { size: args.size, ..Recipe::default() };
    atomic::write_json(&checkpoint.preprocessor_config(), &recipe.preprocessor_config(*mean, *std))?;
    Ok(())
}
