//! Measures the speed of features of a ViT-B/16 (CLIP's) with random weights, for `cargo xtask bench`.
//!
//! `cargo run --release -p benches --example vit-features -- --batch 16 --folder target/bench`

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use artifacts::stage::{self, Failure, print_json};
use benches::{StepArgs, median_seconds, noise, peak_bytes};
use clap::Parser;
use model::PrecisionChoice;
use serde_json::{Map, json};
use vision::{Activation, Family, Precision, Tower, TowerConfig};

/// Measures the features of all blocks and the pooled output. Prints one JSON line with the median images/s, the peak
/// memory and the operations per image.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    step: StepArgs,
    /// The folder for the random weights, which are written if they are not there
    #[arg(long)]
    folder: PathBuf,
}

fn main() -> ExitCode {
    stage::finish("vit-features", run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Failure> {
    let config = TowerConfig {
        family: Family::Clip,
        width: 768,
        depth: 12,
        heads: 12,
        mlp_width: 3072,
        patch: 16,
        side: args.step.size,
        registers: 0,
        activation: Activation::QuickGelu,
        epsilon: 1e-5,
        projection: Some(512),
        attention_pool: false,
    };
    let weights =
        write_weights(&args.folder.join(format!("vit-b16-{}", args.step.size)), &config).map_err(Failure::failed)?;
    let precision = match args.step.precision {
        PrecisionChoice::Auto => Precision::F32,
        PrecisionChoice::Fixed(precision) => precision,
    };
    let tower = Tower::open_in(&weights, precision).map_err(Failure::usage)?;
    let pixels = noise(args.step.batch * args.step.size * args.step.size * 3);
    let layers: Vec<usize> = (0..config.depth).collect();
    let features = || tower.features(&pixels, args.step.batch, &layers).map(drop);
    let median = median_seconds(args.step.seconds, features).map_err(Failure::failed)?;
    print_json(&json!({
        "program": concat!("Candling ", env!("CARGO_PKG_VERSION")),
        "value": args.step.batch as f64 / median,
        "unit": "images/s",
        "peak_bytes": peak_bytes(),
        "operations": operations(&config),
    }))
}

/// Returns the multiplications and additions per image: linear layers, attention and patch embedding.
fn operations(config: &TowerConfig) -> u64 {
    let TowerConfig { width, depth, mlp_width, patch, side, .. } = *config;
    let patches = (side / patch).pow(2);
    let tokens = patches + 1;
    let block = tokens * width * (4 * width + 2 * mlp_width) + 2 * tokens * tokens * width;
    2 * (depth * block + patches * width * 3 * patch * patch) as u64
}

/// The generator of Knuth's MMIX. Only the high bits are random enough.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state
}

/// Writes random weights of type bf16 and `config.json`, unless they exist. Returns the path of the weights.
fn write_weights(folder: &Path, config: &TowerConfig) -> std::io::Result<PathBuf> {
    let path = folder.join("model.safetensors");
    if path.is_file() {
        return Ok(path);
    }
    fs::create_dir_all(folder)?;
    let description = json!({
        "model_type": "clip_vision_model", "hidden_size": config.width, "intermediate_size": config.mlp_width,
        "num_hidden_layers": config.depth, "num_attention_heads": config.heads, "image_size": config.side,
        "patch_size": config.patch,
    });
    fs::write(folder.join("config.json"), description.to_string())?;
    let (mut header, mut end) = (Map::new(), 0);
    let tensors = config.tensors();
    for (name, shape) in &tensors {
        let start = end;
        end += 2 * shape.iter().product::<usize>();
        header.insert(name.clone(), json!({"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}));
    }
    let header = serde_json::to_vec(&header)?;
    // Another process may measure at the same time: the name appears when the file is complete.
    let partial = folder.join(format!("{}.partial", std::process::id()));
    let mut file = BufWriter::new(File::create(&partial)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    let mut state = 2;
    for (name, shape) in &tensors {
        let fan_in: usize = shape.iter().skip(1).product();
        for _ in 0..shape.iter().product() {
            let uniform = (random(&mut state) >> 40) as f32 / (1 << 23) as f32 - 1.0;
            let value = match shape.len() {
                1 if name.ends_with(".weight") => 1.0 + 0.1 * uniform,
                1 => 0.1 * uniform,
                _ => uniform / (fan_in as f32).sqrt(),
            };
            file.write_all(&half::bf16::from_f32(value).to_le_bytes())?;
        }
    }
    file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    fs::rename(partial, &path)?;
    Ok(path)
}
