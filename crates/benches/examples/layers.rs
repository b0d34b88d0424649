//! Measures the speed of the CPU kernels, layer by layer and for a whole network.
//!
//! `cargo run --release -p benches --example layers -- [--batch 16] [--size 224] [--repeats 5] [--bf16] [--whole]
//! [--only TEXT] [--cpu] [--json]`
//!
//! Prints a row for each kernel at each distinct shape of ResNet-50, one for a whole training step with Adam, and one
//! for a whole inference.
//!
//! - `--whole` prints only the training step and the inference.
//! - `--only TEXT` prints only the kernels whose name contains the text, such as `1x1/1 64>256 56 forward`.
//! - `--bf16` computes convolutions in bf16 if the processor has AVX-512 BF16.
//! - `--cpu` measures the processor time of all threads instead of wall time, for a machine with other load.
//! - `--json` prints an object `{name, layers, batch, direction, gflops, ms}` per line. `layers` is the number of
//!   layers with the shape. `gflops` counts the operations of a direct convolution, so Winograd's algorithm may exceed
//!   the machine's peak. It is null for kernels that are limited by memory bandwidth.
//!
//! `RAYON_NUM_THREADS` limits the threads.

use std::error::Error;
use std::io::Write;
use std::sync::LazyLock;
use std::time::Instant;

use benches::cpu_layers::{self, Row, Timer};
use benches::processor_seconds;
use kernels::Precision;
use model::device::{Device, DeviceChoice};
use model::{Adam, AdamConfig, Network, NetworkConfig, PixelBatch, PrecisionChoice};

/// The command line.
struct Options {
    batch: usize,
    size: usize,
    repeats: usize,
    device: Device,
    whole: bool,
    only: String,
    clock: fn() -> f64,
    json: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse()?;
    let config = NetworkConfig::default();
    if !options.whole {
        let Options { batch, size, repeats, clock, ref only, .. } = options;
        let timer = Timer { repeats, clock, only };
        let mut rows = 0;
        cpu_layers::layers(&config.arch, options.device.isa(), [batch, size], timer, |row| {
            options.print(&row);
            rows += 1;
        })?;
        if rows == 0 {
            return Err(format!("no kernel's name contains {only:?}; leave out --only to print all of them").into());
        }
    }
    if options.only.is_empty() { measure_network(&config, &options) } else { Ok(()) }
}

/// Measures a training step and an inference of the whole network.
fn measure_network(config: &NetworkConfig, options: &Options) -> Result<(), Box<dyn Error>> {
    let Options { batch: n, size, repeats, clock, .. } = *options;
    let pixels: Vec<u8> = (0..n * size * size * 3).map(|i| (i * 7 % 251) as u8).collect();
    let labels: Vec<u8> = (0..n).map(|i| (i % 2) as u8).collect();
    let batch = PixelBatch { data: &pixels, n, height: size, width: size };
    let mut network = Network::new(config, &options.device)?;
    let mut adam = Adam::new(AdamConfig::default(), &network)?;
    let row = |direction, ms| Row { name: config.arch.clone(), layers: 1, direction, gflop: None, ms };

    let mut steps = Vec::new();
    for _ in 0..=repeats {
        let start = clock();
        network.train_step(&batch, &labels)?;
        adam.step(&mut network)?;
        steps.push((clock() - start) * 1e3);
    }
    options.print(&row("training step", minimum(&steps)));
    let mut inferences = Vec::new();
    for _ in 0..=repeats {
        let start = clock();
        network.infer(&batch)?;
        inferences.push((clock() - start) * 1e3);
    }
    options.print(&row("inference", minimum(&inferences)));
    Ok(())
}

/// Returns the seconds since the first call.
fn wall_seconds() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_secs_f64()
}

/// Returns the minimum without the first time, because the first run allocates the buffers.
fn minimum(times: &[f64]) -> f64 {
    times[1..].iter().copied().fold(f64::INFINITY, f64::min)
}

impl Options {
    fn parse() -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            batch: 16,
            size: 224,
            repeats: 5,
            device: Device::Cpu,
            whole: false,
            only: String::new(),
            clock: wall_seconds,
            json: false,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            if argument == "--only" {
                options.only = arguments.next().ok_or("--only needs a text, such as a part of a kernel's name")?;
                continue;
            }
            let mut number = || -> Result<usize, Box<dyn Error>> {
                let text = arguments.next().ok_or_else(|| format!("{argument} needs a number"))?;
                let number = text.parse().map_err(|_| format!("{argument} needs a number, but got {text:?}"))?;
                if number == 0 { Err(format!("{argument} must be at least 1").into()) } else { Ok(number) }
            };
            match argument.as_str() {
                "--batch" => options.batch = number()?,
                "--size" => options.size = number()?,
                "--repeats" => options.repeats = number()?,
                "--bf16" => options.device = DeviceChoice::Cpu.open(PrecisionChoice::Fixed(Precision::Bf16))?,
                "--whole" => options.whole = true,
                "--cpu" => options.clock = processor_seconds,
                "--json" => options.json = true,
                other => {
                    return Err(format!(
                        "unknown argument {other:?}; see the documentation at the top of examples/layers.rs"
                    )
                    .into());
                }
            }
        }
        if options.whole && !options.only.is_empty() {
            return Err("--whole and --only cannot be combined".into());
        }
        Ok(options)
    }

    fn print(&self, row: &Row) {
        let gflops = row.gflop.map(|gflop| gflop / row.ms * 1e3);
        let Row { name, layers, direction, ms, .. } = row;
        if self.json {
            let value = serde_json::json!({
                "name": name, "layers": layers, "batch": self.batch, "direction": direction, "gflops": gflops, "ms": ms,
            });
            print_line(&value.to_string());
            return;
        }
        let gflops = gflops.map_or_else(String::new, |gflops| format!("{gflops:7.1} GFLOP/s"));
        print_line(&format!("{name:24} x{layers:<2} {direction:16} {ms:9.2} ms {gflops}"));
    }
}

/// Prints a line. Ignores errors, because a closed standard output is not a failure.
fn print_line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
