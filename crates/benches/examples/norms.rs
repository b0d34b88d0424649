//! Measures the speed of the batch norms of ResNet-50 on a CUDA card, for `cargo xtask bench`.
//!
//! `cargo run --release -p benches --features cuda --example norms -- [--batch 128] [--size 224] [--seconds 8]
//! [--precision bf16]`
//!
//! Prints one JSON line with the images/s of all 53 batch norms in training mode, forward and backward, with their
//! fused ReLUs.

use std::error::Error;

#[cfg(feature = "cuda")]
fn main() -> Result<(), Box<dyn Error>> {
    card::main()
}

#[cfg(not(feature = "cuda"))]
fn main() -> Result<(), Box<dyn Error>> {
    Err("this program was built without CUDA".into())
}

#[cfg(feature = "cuda")]
mod card {
    use std::error::Error;
    use std::io::Write;
    use std::rc::Rc;
    use std::time::Instant;

    use benches::card_norms::BatchNorms;
    use kernels::cuda::Card;
    use model::PrecisionChoice;

    /// Rounds over all batch norms that are started before a wait for the card.
    const BLOCK: usize = 10;
    /// The number of warm-up blocks, which are not measured.
    const WARM_UP: usize = 2;
    /// The minimum number of measured blocks.
    const MIN_BLOCKS: usize = 3;

    pub(crate) fn main() -> Result<(), Box<dyn Error>> {
        let (mut batch, mut size, mut seconds, mut precision) = (128, 224, 8.0, "bf16".parse::<PrecisionChoice>()?);
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
            match argument.as_str() {
                "--batch" => batch = value.parse()?,
                "--size" => size = value.parse()?,
                "--seconds" => seconds = value.parse()?,
                "--precision" => precision = value.parse()?,
                _ => return Err(format!("unknown option {argument}").into()),
            }
        }
        let precision = match precision {
            PrecisionChoice::Auto => None,
            PrecisionChoice::Fixed(precision) => Some(precision),
        };
        let card = Rc::new(Card::open(0, precision)?);
        let norms = BatchNorms::new(&card, batch, size)?;
        let rate = batch as f64 / median_of_rounds(&norms, seconds)?;
        let program = concat!("Candling ", env!("CARGO_PKG_VERSION"));
        let line = format!(r#"{{"program":"{program}","device":"{card}","value":{rate},"unit":"images/s"}}"#);
        Ok(writeln!(std::io::stdout().lock(), "{line}")?)
    }

    /// Returns the median seconds of one round over all batch norms.
    fn median_of_rounds(norms: &BatchNorms, seconds: f64) -> Result<f64, Box<dyn Error>> {
        let mut times = Vec::new();
        let begun = Instant::now();
        while times.len() < WARM_UP + MIN_BLOCKS || begun.elapsed().as_secs_f64() < seconds {
            let start = Instant::now();
            for _ in 0..BLOCK {
                norms.start()?;
            }
            norms.wait()?;
            times.push(start.elapsed().as_secs_f64() / BLOCK as f64);
        }
        let measured = &mut times[WARM_UP..];
        measured.sort_by(f64::total_cmp);
        Ok(measured[measured.len() / 2])
    }
}
