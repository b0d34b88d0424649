//! Times the kernels for this processor layer by layer, and whole training steps and inferences.
//!
//! `cargo run --release -p benches --example layers -- [--batch 16] [--size 224] [--repeats 5] [--bf16] [--whole]
//! [--only TEXT] [--cpu] [--json]`
//!
//! Prints a line for each kernel at each distinct shape of ResNet-50, for a training step with Adam, and for an
//! inference.
//!
//! - `--whole` only measures the training step and the inference.
//! - `--only "1x1/1 64>256 56 forward"` only measures kernels whose name contains the text.
//! - `--bf16` computes in bf16. It needs a processor with AVX512_BF16.
//! - `--cpu` measures the processor time of all threads instead of wall time, for machines with other load.
//! - `--json` prints an object `{name, layers, batch, direction, gflops, ms}` per line. `layers` is the number of
//!   layers with the shape. `gflops` is the rate of the arithmetic of a direct convolution, so that Winograd's can
//!   exceed the machine's peak. It is null for kernels that are limited by memory.
//!
//! `RAYON_NUM_THREADS` limits the threads.

use std::error::Error;
use std::io::Write;
use std::sync::LazyLock;
use std::time::Instant;

use benches::cpu_layers::{KernelTime, Timer, time_layers};
use kernels::Precision;
use kernels::cpu::Isa;
use model::device::{Device, DeviceChoice};
use model::{Adam, AdamConfig, Network, NetworkConfig, PixelBatch, PrecisionChoice};
use rustix::time::{ClockId, clock_gettime};

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
        let mut kernels = 0;
        time_layers(&config.arch, options.isa(), [batch, size], timer, |time| {
            options.print(&time);
            kernels += 1;
        })?;
        if kernels == 0 {
            return Err(format!("no kernel's name contains {only:?}; omit --only to measure all kernels").into());
        }
    }
    if options.only.is_empty() { time_network(&config, &options) } else { Ok(()) }
}

/// Times training steps and inferences of the whole network.
fn time_network(config: &NetworkConfig, options: &Options) -> Result<(), Box<dyn Error>> {
    let Options { batch: n, size, repeats, clock, .. } = *options;
    let pixels: Vec<u8> = (0..n * size * size * 3).map(|i| (i * 7 % 251) as u8).collect();
    let labels: Vec<u8> = (0..n).map(|i| (i % 2) as u8).collect();
    let batch = PixelBatch { data: &pixels, n, height: size, width: size };
    let mut network = Network::new(config, &options.device)?;
    let mut adam = Adam::new(AdamConfig::default(), &network)?;
    let time = |direction, ms| KernelTime { name: config.arch.clone(), layers: 1, direction, gflop: None, ms };

    let mut steps = Vec::new();
    for _ in 0..=repeats {
        let start = clock();
        network.train_step(&batch, &labels)?;
        adam.step(&mut network)?;
        steps.push((clock() - start) * 1e3);
    }
    options.print(&time("training step", minimum(&steps)));
    let mut inferences = Vec::new();
    for _ in 0..=repeats {
        let start = clock();
        network.infer(&batch)?;
        inferences.push((clock() - start) * 1e3);
    }
    options.print(&time("inference", minimum(&inferences)));
    Ok(())
}

/// Returns the wall time since the first call, in seconds.
fn wall_seconds() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_secs_f64()
}

/// Returns the processor time of all threads of this process, in seconds.
fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Returns the minimum of all times but the first, which includes the allocation of buffers.
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
                options.only = arguments.next().ok_or("--only needs a part of a kernel's name")?;
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
                        "unknown argument {other:?}; the head of examples/layers.rs lists all arguments"
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

    /// The instruction set that the device uses.
    fn isa(&self) -> Isa {
        let bf16 = if matches!(self.device, Device::CpuBf16) { Isa::detect_bf16() } else { None };
        bf16.unwrap_or_else(Isa::detect)
    }

    fn print(&self, time: &KernelTime) {
        let gflops = time.gflop.map(|gflop| gflop / time.ms * 1e3);
        let KernelTime { name, layers, direction, ms, .. } = time;
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

/// Prints a line to standard output. Ignores errors, such as a closed pipe.
fn print_line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
