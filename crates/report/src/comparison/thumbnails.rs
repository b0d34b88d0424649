//! The thumbnails in the folder of a comparison, embedded in its page.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use artifacts::schema::{Comparison, Disagreement};

use crate::embedded_image::{self, EmbeddedImage};

/// The thumbnails by their file names.
#[derive(Debug, Default)]
pub(super) struct Thumbnails(BTreeMap<String, EmbeddedImage>);

impl Thumbnails {
    /// Reads the thumbnails of a comparison in the folder `dir`. Leaves out files that are missing or not readable,
    /// because the page is useful without them.
    pub(super) fn read(dir: &Path, comparison: &Comparison) -> Thumbnails {
        let embed = |name: &String| {
            let png = fs::read(dir.join(name)).ok()?;
            Some((name.clone(), embedded_image::from_png(name, &png).ok()?))
        };
        Thumbnails(comparison.disagreements.iter().filter_map(|image| embed(image.image.as_ref()?)).collect())
    }

    /// Returns the thumbnail of an image, if there is one.
    pub(super) fn of(&self, image: &Disagreement) -> Option<&EmbeddedImage> {
        self.0.get(image.image.as_ref()?)
    }
}
