//! The pictures of the images, for the examples in the report.

use artifacts::shard::Shards;
use pixels::{Filter, Fit, Limits, RgbImage, decode, resize};
use sources::Source;

/// Height and width of a picture in the report.
const SIDE: u32 = 224;

/// Where the pictures of the images are.
#[derive(Default)]
pub(crate) enum Pictures {
    /// Nowhere: the images are known from the rows only.
    #[default]
    None,
    /// In a source. The indices are those of the files.
    Source(Box<dyn Source>, Vec<usize>),
    /// In the shards of splits. An image has the index of its split and its row there.
    Shards(Vec<Shards>, Vec<(usize, usize)>),
}

impl Pictures {
    /// Returns the centre of an image, scaled to a square. `None` if it cannot be decoded.
    pub(crate) fn square(&self, image: usize) -> Option<RgbImage> {
        match self {
            Pictures::None => None,
            Pictures::Source(source, files) => {
                let bytes = source.read(*files.get(image)?).ok()?;
                let decoded = decode(&bytes, &Limits::default()).ok()?;
                resize(&decoded.rgb, SIDE, Filter::default(), Fit::Crop).ok()
            }
            Pictures::Shards(splits, places) => {
                let (split, row) = *places.get(image)?;
                let shards = splits.get(split)?;
                let [height, width] = shards.size();
                RgbImage::new(width as u32, height as u32, shards.pixels(row).to_vec()).ok()
            }
        }
    }
}
