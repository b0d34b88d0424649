//! How P(fake) changes when the picture is encoded, scaled and cropped a little, as platforms do.

use pixels::degrade::{self, Degraded};
use pixels::{Filter, RgbImage, resize_to};

use crate::error::Error;
use crate::judge::{Judge, Prepared, fail_if_cancelled};
use crate::row::{Changed, Row, Stability};

/// A change of a picture that leaves what it shows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    /// Encoding as JPEG of this quality.
    Jpeg(u8),
    /// Scaling of both sides to this share.
    Scale(f64),
    /// Cutting off this share of each side.
    Crop(f64),
}

/// The changes. They are those of messengers and social networks at their mildest.
const CHANGES: [Change; 6] =
    [Change::Jpeg(95), Change::Jpeg(85), Change::Jpeg(75), Change::Scale(0.9), Change::Scale(0.75), Change::Crop(0.03)];

impl Change {
    fn words(self) -> String {
        let percent = |share: f64| (share * 100.0).round();
        match self {
            Change::Jpeg(quality) => format!("JPEG quality {quality}"),
            Change::Scale(share) => format!("scaled to {}%", percent(share)),
            Change::Crop(share) => format!("{}% cropped from each side", percent(share)),
        }
    }

    /// Returns the changed picture. `None` if the picture is too small to be changed in this way.
    fn apply(self, image: &RgbImage) -> Result<Option<Degraded>, Error> {
        let (width, height) = (image.width(), image.height());
        let share_of = |length: u32, share: f64| (f64::from(length) * share).round() as u32;
        match self {
            Change::Jpeg(quality) => Ok(Some(degrade::to_jpeg(image, quality)?)),
            Change::Scale(share) => {
                let (width, height) = (share_of(width, share), share_of(height, share));
                if width < SMALLEST || height < SMALLEST {
                    return Ok(None);
                }
                let scaled = resize_to(image, width, height, Filter::Lanczos).map_err(pixels::RecipeError::from)?;
                Ok(Some(scaled.into()))
            }
            Change::Crop(share) => {
                let (left, top) = (share_of(width, share), share_of(height, share));
                if left == 0 || top == 0 {
                    return Ok(None);
                }
                Ok(Some(degrade::crop(image, left, top, width - 2 * left, height - 2 * top)?.into()))
            }
        }
    }
}

/// The shortest side to which a picture is scaled.
const SMALLEST: u32 = 32;

/// Computes P(fake) of changed copies of an image, and makes the verdict inconclusive if a copy has another one. The row
/// has the verdict on the unchanged image.
pub(crate) fn measure(
    judge: &mut Judge,
    row: &mut Row,
    image: &Prepared,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let Some((decoded, unchanged)) = image.decoded.as_ref().zip(row.verdict) else { return Ok(()) };
    let own = row.p_fake_calibrated.or(row.p_fake).unwrap_or(f64::NAN);
    let mut stability = Stability { low: own, high: own, flips: false, unchanged, changes: Vec::new() };
    for change in CHANGES {
        fail_if_cancelled(is_cancelled)?;
        let Some(degraded) = change.apply(decoded)? else { continue };
        let size = [degraded.image.width(), degraded.image.height()];
        let picture = judge.recipe.picture_of_degraded(degraded)?;
        let copy = Prepared::of(picture, size, image.picture.is_some());
        // One at a time: native images take much memory.
        for score in judge.scores(&mut [copy])? {
            let p_fake = judge.p_fake(&score);
            let verdict = judge.verdict(p_fake);
            stability.low = stability.low.min(p_fake);
            stability.high = stability.high.max(p_fake);
            stability.flips |= verdict != unchanged;
            stability.changes.push(Changed { change: change.words(), p_fake, verdict });
        }
    }
    if stability.flips {
        let flipped = stability.changes.iter().filter(|changed| changed.verdict != unchanged);
        let list: Vec<String> = flipped.map(|changed| format!("{} ({:.3})", changed.change, changed.p_fake)).collect();
        row.warnings.push(format!(
            "the verdict was \"{}\" and is another one after {}; it is therefore inconclusive",
            crate::verdict_words(unchanged),
            list.join(", ")
        ));
        judge.set_verdict_of(row, own, evaluate::calibration::Verdict::Inconclusive);
    }
    row.stability = Some(stability);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_small_and_named() {
        let image = RgbImage::from_fn(200, 100, |x, y| [x as u8, y as u8, (x * y) as u8]);
        let sizes: Vec<(u32, u32, bool)> = CHANGES
            .iter()
            .map(|change| {
                let changed = change.apply(&image).unwrap().unwrap();
                (changed.image.width(), changed.image.height(), changed.file.is_some())
            })
            .collect();
        let expected = [
            (200, 100, true),
            (200, 100, true),
            (200, 100, true),
            (180, 90, false),
            (150, 75, false),
            (188, 94, false),
        ];
        assert_eq!(sizes, expected);
        assert_eq!(Change::Crop(0.03).words(), "3% cropped from each side");
        let small = RgbImage::from_fn(9, 9, |x, _| [x as u8; 3]);
        assert!(CHANGES[3..].iter().all(|change| change.apply(&small).unwrap().is_none()));
    }
}
