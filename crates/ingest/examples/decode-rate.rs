//! Measures how many image files per second are read, decoded and resized as in ingest, on all cores.
//!
//! `cargo run --release -p ingest --example decode-rate -- LIST [SIZE [SECONDS]]`, where LIST is a file with one path
//! per line.

use std::path::{Path, PathBuf};
use std::time::Instant;

use artifacts::stage::print_json;
use ingest::Config;
use rayon::prelude::*;
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let list = arguments.next().ok_or("give a file with one path per line")?;
    let size: u32 = arguments.next().map_or(Ok(224), |text| text.parse())?;
    let seconds: f64 = arguments.next().map_or(Ok(8.0), |text| text.parse())?;
    let paths: Vec<PathBuf> = std::fs::read_to_string(&list)?.lines().map(PathBuf::from).collect();
    let config = Config { size, ..Config::default() };

    let pass = || paths.par_iter().try_for_each(|path| convert(path, &config));
    // A first pass reads the files into the page cache and starts all threads.
    pass()?;
    let (start, mut passes) = (Instant::now(), 0);
    while passes == 0 || start.elapsed().as_secs_f64() < seconds {
        pass()?;
        passes += 1;
    }
    let rate = (passes * paths.len()) as f64 / start.elapsed().as_secs_f64();
    print_json(&json!({ "program": "Candling", "value": rate, "unit": "images/s" })).map_err(|error| error.chain())?;
    Ok(())
}

fn convert(path: &Path, config: &Config) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let file = std::fs::read(path).map_err(|error| failed(&error))?;
    let recipe = config.recipe();
    let decoded = recipe.decode(&file).map_err(|error| failed(&error))?;
    recipe.pixels(&decoded.rgb).map_err(|error| failed(&error))?;
    Ok(())
}
