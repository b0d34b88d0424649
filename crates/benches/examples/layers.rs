//! How fast the kernels for this processor run, layer by layer and as a whole.
//!
//! `cargo run --release -p benches --example layers -- [--batch 16] [--size 224] [--repeats 5] [--bf16] [--whole]
//! [--only TEXT] [--cpu] [--json]`
//!
//! Prints a row for each kernel at each different shape of ResNet-50, and for a whole training step (with Adam) and
//! inference; `--whole` prints these two alone, `--only "1x1/1 64>256 56 forward"` the kernels of that name alone. `--bf16`
//! computes in that where the processor can. `--cpu` counts the processor's time of all threads instead of the wall's, for
//! machines that others use. `RAYON_NUM_THREADS` limits the threads. With `--json` each row is an object
//! `{name, layers, batch, direction, gflops, ms}`, one a line: `layers` is how many layers of the network have the shape,
//! `gflops` is a rate, counted as for a direct convolution (so that Winograd's may exceed the machine's peak), and null
//! where memory is the limit.

use std::error::Error;
use std::io::Write;
use std::sync::LazyLock;
use std::time::Instant;

use benches::cpu_layers::{self, Row, Timer};
use kernels::Precision;
use kernels::cpu::Isa;
use model::device::{Device, DeviceChoice};
use model::{Adam, AdamConfig, Network, NetworkConfig, PixelBatch, PrecisionChoice};
use rustix::time::{ClockId, clock_gettime};

/// What to measure, and how to print it.
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
        cpu_layers::layers(&config.arch, options.isa(), [batch, size], timer, |row| {
            options.print(&row);
            rows += 1;
        })?;
        if rows == 0 {
            return Err(format!("no kernel's name contains {only:?}; without --only all are printed").into());
        }
    }
    if options.only.is_empty() { whole(&config, &options) } else { Ok(()) }
}

/// A training step and inference of the whole network.
fn whole(config: &NetworkConfig, options: &Options) -> Result<(), Box<dyn Error>> {
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
    options.print(&row("training step", least(&steps)));
    let mut inferences = Vec::new();
    for _ in 0..=repeats {
        let start = clock();
        network.infer(&batch)?;
        inferences.push((clock() - start) * 1e3);
    }
    options.print(&row("inference", least(&inferences)));
    Ok(())
}

/// Seconds since the first call.
fn wall() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_secs_f64()
}

/// Seconds that the processor has worked for this program, on all cores.
fn processor() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// The least of all but the first, which makes the buffers.
fn least(times: &[f64]) -> f64 {
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
            clock: wall,
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
                let number = text.parse().map_err(|_| format!("{argument} needs a number and not {text:?}"))?;
                if number == 0 { Err(format!("{argument} must be at least 1").into()) } else { Ok(number) }
            };
            match argument.as_str() {
                "--batch" => options.batch = number()?,
                "--size" => options.size = number()?,
                "--repeats" => options.repeats = number()?,
                "--bf16" => options.device = DeviceChoice::Cpu.open(PrecisionChoice::Fixed(Precision::Bf16))?,
                "--whole" => options.whole = true,
                "--cpu" => options.clock = processor,
                "--json" => options.json = true,
                other => return Err(format!("unknown argument {other:?}; see the head of examples/layers.rs").into()),
            }
        }
        if options.whole && !options.only.is_empty() {
            return Err("--whole and --only leave nothing to measure".into());
        }
        Ok(options)
    }

    /// The instructions that the device computes with.
    fn isa(&self) -> Isa {
        let bf16 = if matches!(self.device, Device::CpuBf16) { Isa::detect_bf16() } else { None };
        bf16.unwrap_or_else(Isa::detect)
    }

    fn print(&self, row: &Row) {
        let gflops = row.gflop.map(|gflop| gflop / row.ms * 1e3);
        let Row { name, layers, direction, ms, .. } = row;
        if self.json {
            let value = serde_json::json!({
                "name": name, "layers": layers, "batch": self.batch, "direction": direction, "gflops": gflops, "ms": ms,
            });
            say(&value.to_string());
            return;
        }
        let gflops = gflops.map_or_else(String::new, |gflops| format!("{gflops:7.1} GFLOP/s"));
        say(&format!("{name:24} x{layers:<2} {direction:16} {ms:9.2} ms {gflops}"));
    }
}

/// A line on standard output, whose reader may have gone.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
