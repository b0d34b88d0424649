//! Measures the time of every signal of the images in a folder, and writes their frequency and metadata features as
//! CSV files.
//!
//! ```sh
//! cargo run --release -p signals --example signals -- FOLDER OUTPUT_FOLDER
//! ```

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pixels::{Limits, decode};
use signals::augment::{self, AugmentConfig};
use signals::residual::Residual;
use signals::{frequency, metadata, patches};

type Error = Box<dyn std::error::Error>;

/// The measured signals, in the order of their times.
const SIGNALS: [&str; 10] = [
    "decode",
    "patches",
    "residual srm",
    "residual median",
    "residual neighbours",
    "residual npr",
    "frequency",
    "spectrum",
    "metadata",
    "augment",
];

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(folder), Some(output)) = (arguments.next(), arguments.next()) else {
        return Err("expected a folder of images and an output folder".into());
    };
    let mut files = Vec::new();
    list(&folder, &mut files)?;
    files.sort();
    fs::create_dir_all(&output)?;
    let mut frequencies = table(&output.join("frequency.csv"), &frequency::feature_names())?;
    let mut metadatas = table(&output.join("metadata.csv"), &metadata::feature_names())?;
    let mut times = [Duration::ZERO; SIGNALS.len()];
    for (index, path) in files.iter().enumerate() {
        let bytes = fs::read(path)?;
        let name = path.strip_prefix(&folder)?.display().to_string();
        let mut step = 0;
        let mut timed = |start: Instant| {
            times[step] += start.elapsed();
            step += 1;
        };
        let start = Instant::now();
        let image = decode(&bytes, &Limits::default())?.rgb;
        timed(start);
        let start = Instant::now();
        let windows = patches::by_texture(&image, patches::SIDE, patches::COUNT);
        timed(start);
        for residual in Residual::ALL.into_iter().filter(|residual| *residual != Residual::None) {
            let start = Instant::now();
            for window in &windows {
                std::hint::black_box(residual.of(&window.pixels, patches::SIDE as usize));
            }
            timed(start);
        }
        let start = Instant::now();
        let features = frequency::features(&image);
        timed(start);
        let start = Instant::now();
        std::hint::black_box(frequency::spectrum(&image));
        timed(start);
        let start = Instant::now();
        let described = metadata::features(&bytes);
        timed(start);
        let start = Instant::now();
        augment::augment(&image, &typical(), &mut augment::stream(0, 0, index as u64))?;
        timed(start);
        write_row(&mut frequencies, &name, features)?;
        write_row(&mut metadatas, &name, described)?;
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} images, milliseconds for each:", files.len())?;
    for (signal, time) in SIGNALS.iter().zip(times) {
        writeln!(out, "{signal:20} {:.3}", time.as_secs_f64() * 1e3 / files.len().max(1) as f64)?;
    }
    Ok(())
}

/// Some of every change.
fn typical() -> AugmentConfig {
    let mut config = AugmentConfig { flip: true, ..AugmentConfig::default() };
    config.crop.probability = 0.3;
    config.resize.probability = 0.3;
    config.blur.probability = 0.1;
    config.noise.probability = 0.1;
    config.webp.probability = 0.1;
    config.jpeg.probability = 0.5;
    config
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { list(&entry.path(), files)? } else { files.push(entry.path()) }
    }
    Ok(())
}

fn table(path: &Path, names: &[String]) -> Result<BufWriter<File>, Error> {
    let mut table = BufWriter::new(File::create(path)?);
    let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    writeln!(table, "file,{}", names.join(","))?;
    Ok(table)
}

fn write_row(table: &mut impl Write, name: &str, values: Option<Vec<f32>>) -> Result<(), Error> {
    let Some(values) = values else { return Ok(()) };
    write!(table, "\"{name}\"")?;
    for value in values {
        write!(table, ",{value}")?;
    }
    Ok(writeln!(table)?)
}
