//! Measures the time of the data set audit on simulated images, by the number of images.
//!
//! ```sh
//! cargo run --release -p benches --example audit-scale -- 10000 100000
//! ```
//!
//! Every hundredth image has a planted near-duplicate, which is resized, re-encoded or flipped. The time to make the
//! images is not included.

#![expect(clippy::print_stdout, reason = "prints a table")]

use std::time::Instant;

use artifacts::Split;
use ingest::audit::{Observation, audit, near_duplicates};
use pixels::encode::{self, Subsampling};
use pixels::{Filter, Limits, RgbImage, decode, degrade, resize_to};
use rayon::prelude::*;
use sources::simulated::SimulatedSet;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<usize> = std::env::args().skip(1).map(|n| n.parse()).collect::<Result<_, _>>()?;
    let sizes = if given.is_empty() { vec![10_000, 100_000] } else { given };
    println!("{} threads", rayon::current_num_threads());
    println!("{:>9} {:>12} {:>9} {:>16} {:>12}", "images", "duplicates s", "probes s", "planted found", "other pairs");
    for n in sizes {
        let images = simulate(n)?;
        let images: Vec<&Observation> = images.iter().collect();
        let start = Instant::now();
        let pairs = near_duplicates(&images);
        let searched = start.elapsed().as_secs_f64();
        let report = audit(&images, &pairs, |image| image.to_string());
        let probed = start.elapsed().as_secs_f64() - searched;
        // The near-duplicate of image k * 100 is image n + k.
        let planted = |first: usize, second: usize| second >= n && first == (second - n) * 100;
        let found = pairs.iter().filter(|pair| planted(pair.first, pair.second)).count();
        let planted = report.images as usize - n;
        println!(
            "{n:>9} {searched:>12.1} {probed:>9.1} {:>16} {:>12}",
            format!("{found} of {planted}"),
            pairs.len() - found
        );
    }
    Ok(())
}

/// Makes `n` simulated images, followed by a near-duplicate of every hundredth.
fn simulate(n: usize) -> Result<Vec<Observation>, Box<dyn std::error::Error>> {
    let set: SimulatedSet = format!("train={n},test=0,size=64,seed=3").parse()?;
    let observe = |index: usize| {
        let sample = set.image(index as u64).map_err(|error| error.to_string())?;
        let decoded = decode(&sample.jpeg, &Limits::default()).map_err(|error| error.to_string())?;
        let mut seen = vec![(index, Observation::new(&sample.jpeg, &decoded, sample.label, sample.split))];
        if index.is_multiple_of(100) {
            let file = modify(&decoded.rgb, index / 100)?;
            let again = decode(&file, &Limits::default()).map_err(|error| error.to_string())?;
            seen.push((n + index / 100, Observation::new(&file, &again, sample.label, Split::Train)));
        }
        Ok::<_, String>(seen)
    };
    let mut seen: Vec<(usize, Observation)> =
        (0..n).into_par_iter().map(observe).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    seen.sort_by_key(|(place, _)| *place);
    Ok(seen.into_iter().map(|(_, observation)| observation).collect())
}

/// Modifies the image in one of four ways, chosen by `method`, and encodes it.
fn modify(picture: &RgbImage, method: usize) -> Result<Vec<u8>, String> {
    let resized = |scale: f32| {
        let side = |side: u32| ((side as f32 * scale) as u32).max(1);
        resize_to(picture, side(picture.width()), side(picture.height()), Filter::Bicubic).map_err(|e| e.to_string())
    };
    let changed = match method % 4 {
        0 => resized(0.6)?,
        1 => resized(1.4)?,
        2 => degrade::jpeg(picture, 60).map_err(|e| e.to_string())?,
        _ => {
            let mut mirrored = picture.clone();
            degrade::flip_horizontal(&mut mirrored);
            mirrored
        }
    };
    encode::jpeg(&changed, 85, Subsampling::Quarter).map_err(|e| e.to_string())
}
