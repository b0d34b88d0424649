//! Measures how many images per second are decoded from shards at native resolution, in shuffled order and on all
//! cores, with random windows cut from each.
//!
//! `cargo run --release -p benches --example native-rate -- runs/NAME/ingest [WINDOWS [SIDE [SECONDS]]]`
//!
//! The shards must have been made with `ingest.keep_files = true`. Prints the rate to standard error, and as a line of
//! JSON for `cargo xtask bench`.

use std::path::PathBuf;
use std::time::Instant;

use artifacts::progress::line;
use artifacts::shard::{ShardSet, Shards};
use artifacts::stage::print_json;
use artifacts::{Split, random};
use pixels::degrade::crop;
use pixels::{Limits, Picture};
use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde_json::json;

/// The number of images in a batch.
const BATCH: usize = 32;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let ingest = PathBuf::from(arguments.next().ok_or("usage: native-rate INGEST [WINDOWS [SIDE [SECONDS]]]")?);
    let windows: usize = arguments.next().map_or(Ok(4), |text| text.parse())?;
    let side: u32 = arguments.next().map_or(Ok(64), |text| text.parse())?;
    let seconds: f64 = arguments.next().map_or(Ok(5.0), |text| text.parse())?;
    let shards = ShardSet::open(&ingest)?.split(Split::Train)?;
    shards.require_files()?;
    let threads = rayon::current_num_threads();
    line(&format!("{} images, {windows} windows of {side}x{side} of each, {threads} cores", shards.len()));

    let mut order: Vec<usize> = (0..shards.len()).collect();
    let (start, mut images, mut bytes) = (Instant::now(), 0, 0);
    for epoch in 0.. {
        order.shuffle(&mut random::stream(0, "order", &[epoch]));
        for batch in order.chunks(BATCH) {
            let cut: Result<Vec<Vec<u8>>, String> =
                batch.par_iter().map(|&row| cut_windows(&shards, row, epoch, windows, side)).collect();
            bytes += cut?.iter().map(Vec::len).sum::<usize>();
            images += batch.len();
        }
        if start.elapsed().as_secs_f64() >= seconds {
            break;
        }
    }
    let rate = images as f64 / start.elapsed().as_secs_f64();
    line(&format!("{rate:.0} images/s, {:.0} kB of windows of each", bytes as f64 / images as f64 / 1e3));
    let program = format!("{threads} cores, {windows} windows of {side}x{side}");
    let name = format!("patches{windows}");
    print_json(&json!({ "name": name, "program": program, "value": rate, "unit": "images/s" }))
        .map_err(|failure| failure.chain())?;
    Ok(())
}

/// Decodes an image and returns random windows of it, `[windows, side, side, 3]`. An image that is smaller than a
/// window has none.
fn cut_windows(shards: &Shards, row: usize, epoch: u64, windows: usize, side: u32) -> Result<Vec<u8>, String> {
    let file = shards.file(row).unwrap_or_default();
    let picture = Picture::stored(file, shards.pixels(row), &Limits::default()).map_err(|error| error.to_string())?;
    let mut cut = Vec::with_capacity(windows * (side * side * 3) as usize);
    let Some(image) = picture.native.filter(|image| image.width().min(image.height()) >= side) else {
        return Ok(cut);
    };
    let mut random = random::stream(0, "windows", &[epoch, row as u64]);
    for _ in 0..windows {
        let [left, top] = [image.width(), image.height()].map(|length| random.random_range(0..=length - side));
        let window = crop(&image, left, top, side, side).map_err(|error| error.to_string())?;
        cut.extend_from_slice(window.data());
    }
    Ok(cut)
}
