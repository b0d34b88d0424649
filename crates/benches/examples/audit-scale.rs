//! Measures the cost of the audit, by number of simulated images: the search for near-duplicates and the probes.
//!
//! ```sh
//! cargo run --release -p benches --example audit-scale -- 10000 100000
//! ```
//!
//! One image in a hundred has a copy that is resized, re-encoded or mirrored. The time to generate the images is not
//! counted.

#![expect(clippy::print_stdout, reason = "prints a table")]

use std::time::Instant;

use artifacts::Split;
use ingest::audit::{Observation, audit, near_duplicates};
use ingest::simulated::Spec;
use pixels::encode::{self, Subsampling};
use pixels::{Filter, Limits, RgbImage, decode, degrade, resize_to};
use rayon::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<usize> = std::env::args().skip(1).map(|n| n.parse()).collect::<Result<_, _>>()?;
    let sizes = if arguments.is_empty() { vec![10_000, 100_000] } else { arguments };
    println!("{} threads", rayon::current_num_threads());
    println!("{:>9} {:>12} {:>9} {:>16} {:>12}", "images", "duplicates s", "probes s", "copies found", "other pairs");
    for n in sizes {
        let images = simulate(n)?;
        let images: Vec<&Observation> = images.iter().collect();
        let start = Instant::now();
        let pairs = near_duplicates(&images);
        let search_seconds = start.elapsed().as_secs_f64();
        let report = audit(&images, &pairs, |image| image.to_string());
        let probe_seconds = start.elapsed().as_secs_f64() - search_seconds;
        // Image n + k is the copy of image k * 100.
        let is_copy = |first: usize, second: usize| second >= n && first == (second - n) * 100;
        let found = pairs.iter().filter(|pair| is_copy(pair.first, pair.second)).count();
        let copies = report.images as usize - n;
        println!(
            "{n:>9} {search_seconds:>12.1} {probe_seconds:>9.1} {:>16} {:>12}",
            format!("{found} of {copies}"),
            pairs.len() - found
        );
    }
    Ok(())
}

/// Returns `n` simulated images, followed by a changed copy of each hundredth.
fn simulate(n: usize) -> Result<Vec<Observation>, Box<dyn std::error::Error>> {
    let spec: Spec = format!("train={n},test=0,size=64,seed=3").parse()?;
    let observe = |index: usize| {
        let sample = spec.sample(index as u64).map_err(|error| error.to_string())?;
        let decoded = decode(&sample.jpeg, &Limits::default()).map_err(|error| error.to_string())?;
        let mut observations = vec![(index, Observation::new(&sample.jpeg, &decoded, sample.label, sample.split))];
        if index.is_multiple_of(100) {
            let copy = changed_copy(&decoded.rgb, index / 100)?;
            let decoded_copy = decode(&copy, &Limits::default()).map_err(|error| error.to_string())?;
            observations.push((n + index / 100, Observation::new(&copy, &decoded_copy, sample.label, Split::Train)));
        }
        Ok::<_, String>(observations)
    };
    let mut observations: Vec<(usize, Observation)> =
        (0..n).into_par_iter().map(observe).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    observations.sort_by_key(|(index, _)| *index);
    Ok(observations.into_iter().map(|(_, observation)| observation).collect())
}

/// Encodes a JPEG of the image after one of four changes.
fn changed_copy(image: &RgbImage, change: usize) -> Result<Vec<u8>, String> {
    let resized = |scale: f32| {
        let side = |side: u32| ((side as f32 * scale) as u32).max(1);
        resize_to(image, side(image.width()), side(image.height()), Filter::Bicubic).map_err(|e| e.to_string())
    };
    let changed = match change % 4 {
        0 => resized(0.6)?,
        1 => resized(1.4)?,
        2 => degrade::jpeg(image, 60).map_err(|e| e.to_string())?,
        _ => {
            let mut mirrored = image.clone();
            degrade::flip_horizontal(&mut mirrored);
            mirrored
        }
    };
    encode::jpeg(&changed, 85, Subsampling::Quarter).map_err(|e| e.to_string())
}
