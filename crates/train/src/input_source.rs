//! Cuts the inputs of trained branches from the files in the shards.

use artifacts::random;
use artifacts::shard::Shards;
use branches::{InputCutter, TrainedInputs, View};
use signals::augment::AugmentConfig;

use crate::error::Error;
use crate::item::Item;

/// The number of the view of the first epoch. Views of stored features have smaller numbers.
const FIRST_EPOCH: usize = 1 << 20;

/// How the inputs are cut.
#[derive(Clone, Debug)]
pub struct InputSource {
    pub(crate) cutter: InputCutter,
    /// The views of images for validation.
    pub(crate) views: Vec<View>,
    /// The changes to training images, which are other ones in each epoch.
    pub(crate) augment: AugmentConfig,
    pub(crate) seed: u64,
}

impl InputSource {
    /// Replaces `inputs` by those of some images. With an epoch, the images are training images: they are changed, and
    /// windows are at random positions, which depend on seed, epoch and image. Without one, windows are chosen by texture.
    pub(crate) fn fill(
        &self,
        shards: &Shards,
        items: &[Item],
        epoch: Option<usize>,
        inputs: &mut TrainedInputs,
    ) -> Result<(), Error> {
        inputs.clear();
        for &Item { row, view, .. } in items {
            let bytes =
                shards.file(row).ok_or_else(|| branches::Error::NoFiles { branches: "of the detector".into() })?;
            let sample = shards.sample(row);
            let cuts = match epoch {
                Some(epoch) => {
                    let changed = View::Changed { config: self.augment, seed: self.seed };
                    let view = if self.augment.is_on() { changed } else { View::Plain };
                    let picture = view.picture(FIRST_EPOCH + epoch, sample, bytes)?;
                    let mut random = random::stream(self.seed, "windows", &[epoch as u64, row as u64]);
                    self.cutter.cut(&picture.image, Some(&mut random))?
                }
                None => self.cutter.cut(&self.views[view].picture(view, sample, bytes)?.image, None)?,
            };
            inputs.push(&cuts);
        }
        Ok(())
    }
}
