//! An image in all forms that detectors read.

use std::borrow::Cow;

use crate::decode::{DecodeError, Limits, decode};
use crate::degrade::Degraded;
use crate::image::RgbImage;
use crate::recipe::{Recipe, RecipeError, Reencoded};

/// An image in all forms that detectors read: as a file, at native resolution and resized.
///
/// In training, evaluation, `predict` and the robustness sweep, the three belong together in the same way: `file` is
/// what [`Recipe::reencode`] made of the file on disk, `native` is the image in it, and `pixels` is `native` resized.
///
/// A picture of 100 million pixels takes 300 MB. Take what is needed from a picture and drop it before the next one.
#[derive(Clone, Debug)]
pub struct Picture<'a> {
    /// The encoded file. `None` if there is none: a blurred image, for example, has never been encoded.
    pub file: Option<Cow<'a, [u8]>>,
    /// The image at native resolution, after EXIF orientation. `None` if only `pixels` is known.
    pub native: Option<RgbImage>,
    /// The resized image, `[size, size, 3]`.
    pub pixels: Cow<'a, [u8]>,
}

impl<'a> Picture<'a> {
    /// Makes the picture of an image that ingest stored: its kept file (`Shards::file`) and its pixels
    /// (`Shards::pixels`).
    ///
    /// # Errors
    /// The file cannot be decoded within the limits.
    pub fn stored(file: &'a [u8], pixels: &'a [u8], limits: &Limits) -> Result<Picture<'a>, DecodeError> {
        let native = decode(file, limits)?.rgb;
        Ok(Picture { file: Some(Cow::Borrowed(file)), native: Some(native), pixels: Cow::Borrowed(pixels) })
    }

    /// Returns the picture without borrowed data.
    pub fn into_owned(self) -> Picture<'static> {
        let owned = |bytes: Cow<'a, [u8]>| Cow::Owned(bytes.into_owned());
        Picture { file: self.file.map(owned), native: self.native, pixels: Cow::Owned(self.pixels.into_owned()) }
    }
}

impl Recipe {
    /// Makes a picture of a decoded image: re-encodes it, if configured, and resizes it. `file` is the file in which it
    /// was, if any.
    ///
    /// # Errors
    /// The errors of [`Recipe::reencode`] and [`Recipe::resize`].
    pub fn picture<'a>(&self, image: RgbImage, file: Option<Cow<'a, [u8]>>) -> Result<Picture<'a>, RecipeError> {
        let (native, file) = match self.reencode(&image)? {
            None => (image, file),
            Some(Reencoded { file, decoded }) => (decoded.rgb, Some(Cow::Owned(file))),
        };
        let pixels = Cow::Owned(self.resize(&native)?);
        Ok(Picture { file, native: Some(native), pixels })
    }

    /// Makes a picture of a degraded image.
    ///
    /// # Errors
    /// The errors of [`Recipe::picture`].
    pub fn picture_of_degraded(&self, degraded: Degraded) -> Result<Picture<'static>, RecipeError> {
        self.picture(degraded.image, degraded.file.map(Cow::Owned))
    }
}

#[cfg(test)]
mod tests {
    use artifacts::schema::{Reencode, ReencodeFormat};

    use super::*;
    use crate::degrade;
    use crate::encode::{Subsampling, jpeg};

    fn image() -> RgbImage {
        RgbImage::from_fn(30, 20, |x, y| [(x * 8) as u8, (y * 12) as u8, ((x * y) % 251) as u8])
    }

    #[test]
    fn pixels_and_native_image_are_those_of_the_file() {
        let file = jpeg(&image(), 90, Subsampling::Full).unwrap();
        let decoded = |file: &[u8]| decode(file, &Limits::default()).unwrap().rgb;
        for quality in [None, Some(60)] {
            let reencode = quality.map(|quality| Reencode { format: ReencodeFormat::Jpeg, quality });
            let recipe = Recipe { size: 8, reencode, ..Recipe::default() };
            let picture = recipe.picture(decoded(&file), Some(Cow::Borrowed(&file))).unwrap();
            let written = picture.file.as_deref().unwrap();
            assert_eq!(written == file, quality.is_none());
            assert_eq!(picture.native, Some(decoded(written)));
            assert_eq!(*picture.pixels, recipe.resize(&decoded(written)).unwrap());
            assert_eq!(*picture.pixels, recipe.pixels(&decoded(&file)).unwrap());
            // Ingest stores the file and the pixels. They make the same picture.
            let stored = Picture::stored(written, &picture.pixels, &recipe.limits()).unwrap();
            assert_eq!((stored.native, stored.pixels), (picture.native.clone(), Cow::Borrowed(&*picture.pixels)));
        }
        assert!(Picture::stored(&file[..file.len() / 2], &[], &Limits::default()).is_err());
    }

    #[test]
    fn only_encoded_degradations_have_a_file() {
        let recipe = Recipe { size: 8, ..Recipe::default() };
        let picture = |degraded| recipe.picture_of_degraded(degraded).unwrap();
        let saved = picture(degrade::to_jpeg(&image(), 50).unwrap());
        assert_eq!(saved.native, Some(degrade::jpeg(&image(), 50).unwrap()));
        assert_eq!(decode(&saved.file.unwrap(), &Limits::default()).unwrap().rgb, saved.native.unwrap());
        assert_eq!(picture(degrade::gaussian_blur(&image(), 1.0).unwrap().into()).file, None);
    }
}
