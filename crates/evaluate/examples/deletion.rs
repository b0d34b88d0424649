//! Tests whether the heat maps of the branch `vit` show what its verdict is based on (deletion; Petsiuk et al. 2018, arXiv
//! 1806.07421): blurs a fifth of each test image, and prints the mean change of the margin towards the other class.
//!
//!     cargo run --release --workspace --example deletion -- runs/NAME [IMAGES]

#![expect(clippy::print_stdout, reason = "prints a table")]

use std::error::Error;
use std::path::PathBuf;

use artifacts::random;
use artifacts::shard::ShardSet;
use artifacts::{Checkpoint, Label, Split, names};
use branches::{BranchName, Picture};
use evaluate::Detector;
use model::device::Device;
use pixels::RgbImage;
use rand::RngExt;

/// The share of the cells that is blurred.
const SHARE: f64 = 0.2;
/// The standard deviation of the blur in pixels.
const SIGMA: f32 = 8.0;
/// The number of images, unless the command line has another one.
const IMAGES: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let run = PathBuf::from(arguments.next().ok_or("usage: deletion RUN [IMAGES]")?);
    let images: usize = arguments.next().map_or(Ok(IMAGES), |count| count.parse())?;
    let shards = ShardSet::open(&run.join(names::INGEST))?.split(Split::Test)?;
    let checkpoint = Checkpoint::new(run.join(names::TRAIN).join("run-0").join("best"));
    let mut detector = Detector::open(&checkpoint, &Device::Cpu)?;
    let vit = detector.branches().iter().position(|name| *name == BranchName::Vit.name());
    let vit = vit.ok_or("the detector has no branch `vit`")?;
    let mut changes = [0.0_f64; 3];
    let mut count = 0;
    for row in (0..shards.len()).step_by(shards.len().div_ceil(images.max(1))) {
        let Some(file) = shards.file(row) else { continue };
        let maps = detector.evidence_maps(&Picture::decode(file)?)?;
        let Some(map) = maps.iter().find(|map| map.branch == BranchName::Vit) else { continue };
        let input = |image: RgbImage| Picture { bytes: Vec::new().into(), image };
        let blurred = pixels::degrade::gaussian_blur(&map.image, SIGMA)?;
        let cells = map.contributions.values.len();
        let deleted = ((cells as f64 * SHARE) as usize).max(1);
        let mut random = random::stream(0, "deletion", &[row as u64]);
        let by_chance: Vec<f32> = (0..cells).map(|_| random.random()).collect();
        let mut pictures = vec![input(map.image.clone())];
        let negated: Vec<f32> = map.contributions.values.iter().map(|value| -value).collect();
        for values in [&map.contributions.values, &by_chance, &negated] {
            let mut order: Vec<usize> = (0..cells).collect();
            order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
            order.truncate(deleted);
            let (width, height) = (map.image.width(), map.image.height());
            let cell = |x: u32, y: u32| {
                let column = x as usize * map.contributions.width / width as usize;
                y as usize * map.contributions.height / height as usize * map.contributions.width + column
            };
            pictures.push(input(RgbImage::from_fn(width, height, |x, y| {
                let from = if order.contains(&cell(x, y)) { &blurred } else { &map.image };
                let at = (y as usize * width as usize + x as usize) * 3;
                [from.data()[at], from.data()[at + 1], from.data()[at + 2]]
            })));
        }
        let scores = detector.picture_scores(&pictures)?;
        let margins: Vec<f64> = scores.iter().map(|score| score.branches[vit].map_or(0.0, f64::from)).collect();
        let class = if margins[0] >= 0.0 { Label::Fake } else { Label::Real };
        // Cells that speak for the predicted class come first in the map, or last if it is real.
        let (own, opposite) = if class == Label::Fake { (margins[1], margins[3]) } else { (margins[3], margins[1]) };
        let sign = if class == Label::Fake { 1.0 } else { -1.0 };
        for (change, margin) in changes.iter_mut().zip([own, margins[2], opposite]) {
            *change += sign * (margins[0] - margin);
        }
        count += 1;
    }
    let names = ["strongest evidence for the verdict", "random cells", "strongest evidence against it"];
    for (name, change) in names.into_iter().zip(changes) {
        println!("{name}: {:+.3}", change / f64::from(count.max(1)));
    }
    println!("{count} images");
    Ok(())
}
