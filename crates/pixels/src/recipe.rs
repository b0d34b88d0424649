//! Conversion of the bytes of an image file to the input pixels of a network.
//!
//! The steps, in this order:
//! 1. [`Recipe::decode`]: decode within limits, and reject images of one colour.
//! 2. In the robustness sweep only: degrade the decoded image.
//! 3. [`Recipe::reencode`]: encode the image again and decode it, if configured.
//! 4. [`Recipe::resize`]: resize to a square.
//!
//! Ingest, `predict` and the robustness sweep all use these functions, so that training and serving use the same
//! pixels.

use artifacts::schema::{ImageSize, PreprocessorConfig, Reencode, ReencodeFormat};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as ValueError;

use crate::decode::{DecodeError, Decoded, Limits, decode};
use crate::encode::{self, JpegSizeError, Subsampling};
use crate::image::{RgbImage, ShapeError};
use crate::resize::{Filter, Fit, resize};

/// The preprocessing of image files.
///
/// The fields are keys of the section `[ingest]`, so that a recipe deserialises from the configuration in an ingest
/// manifest. Other keys are ignored. A checkpoint stores the recipe of its training images in its
/// [`PreprocessorConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Recipe {
    /// Height and width of the result in pixels.
    pub size: u32,
    /// The resampling filter.
    pub filter: Filter,
    /// How an image that is not square becomes square.
    pub fit: Fit,
    /// How every image is encoded again before it is resized. `None` if it is not.
    pub reencode: Option<Reencode>,
    /// The largest number of pixels of an image file.
    pub max_pixels: u64,
}

/// The input size of most networks for ImageNet.
const DEFAULT_SIZE: u32 = 224;

impl Default for Recipe {
    fn default() -> Self {
        Recipe {
            size: DEFAULT_SIZE,
            filter: Filter::default(),
            fit: Fit::default(),
            reencode: None,
            max_pixels: Limits::default().max_pixels,
        }
    }
}

/// The reason why a file cannot be converted. The messages are made to follow a path and a colon.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The file cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// All pixels have one colour. Many broken files decode to such an image.
    #[error("all its pixels have the same colour, as in many broken files")]
    OneColour,
    /// The image cannot be encoded again.
    #[error(transparent)]
    Reencode(#[from] JpegSizeError),
    /// The image cannot be resized.
    #[error(transparent)]
    Resize(#[from] ShapeError),
}

impl RecipeError {
    /// Returns a stable code by which errors are counted: a code of [`DecodeError::kind`], `blank` or `unreadable`.
    pub fn kind(&self) -> &'static str {
        match self {
            RecipeError::Decode(error) => error.kind(),
            RecipeError::OneColour => "blank",
            RecipeError::Reencode(_) | RecipeError::Resize(_) => "unreadable",
        }
    }
}

/// The error if a checkpoint needs a preprocessing step that this program does not implement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not supported")]
pub struct UnsupportedStep(String);

/// The result of [`Recipe::reencode`].
#[derive(Clone, Debug)]
pub struct Reencoded {
    /// The bytes of the new file.
    pub file: Vec<u8>,
    /// The image in it.
    pub decoded: Decoded,
}

impl Recipe {
    /// Restores the recipe of a checkpoint, with the default limit on pixels. Checkpoints without a filter or a fit get
    /// the defaults.
    ///
    /// # Errors
    /// The filter or fit is unknown, or the size is not square.
    pub fn from_preprocessor_config(config: &PreprocessorConfig) -> Result<Recipe, UnsupportedStep> {
        let ImageSize { height, width } = config.size;
        let size = u32::try_from(height).ok().filter(|_| height == width);
        Ok(Recipe {
            size: size.ok_or_else(|| UnsupportedStep(format!("resizing to {width}x{height} pixels")))?,
            filter: from_name("filter", config.filter.as_deref())?,
            fit: from_name("fit", config.fit.as_deref())?,
            reencode: config.reencode,
            max_pixels: Limits::default().max_pixels,
        })
    }

    /// Makes the `preprocessor_config.json` of a checkpoint. `mean` and `std` are the values for red, green and blue.
    pub fn preprocessor_config(&self, mean: [f32; 3], std: [f32; 3]) -> PreprocessorConfig {
        PreprocessorConfig {
            do_resize: true,
            size: ImageSize { height: self.size as usize, width: self.size as usize },
            filter: Some(self.filter.name().to_owned()),
            fit: Some(self.fit.name().to_owned()),
            reencode: self.reencode,
            do_rescale: true,
            rescale_factor: 1.0 / 255.0,
            do_normalize: true,
            image_mean: mean,
            image_std: std,
        }
    }

    /// Returns the limits for decoding a file.
    pub fn limits(&self) -> Limits {
        Limits { max_pixels: self.max_pixels }
    }

    /// Decodes a file.
    ///
    /// # Errors
    /// The file cannot be decoded within the limits, or all its pixels have one colour.
    pub fn decode(&self, file: &[u8]) -> Result<Decoded, RecipeError> {
        let decoded = decode(file, &self.limits())?;
        if decoded.rgb.is_one_colour() { Err(RecipeError::OneColour) } else { Ok(decoded) }
    }

    /// Encodes an image again and decodes it, if configured.
    ///
    /// # Errors
    /// The image is too large for the format.
    pub fn reencode(&self, image: &RgbImage) -> Result<Option<Reencoded>, RecipeError> {
        let Some(Reencode { format, quality }) = self.reencode else { return Ok(None) };
        let file = match format {
            ReencodeFormat::Jpeg => encode::jpeg(image, quality, Subsampling::Quarter)?,
        };
        // The file was made here, so it needs no limit.
        let decoded = decode(&file, &Limits { max_pixels: u64::MAX })?;
        Ok(Some(Reencoded { file, decoded }))
    }

    /// Resizes an image to `[size, size, 3]` bytes.
    ///
    /// # Errors
    /// `size` is 0.
    pub fn resize(&self, image: &RgbImage) -> Result<Vec<u8>, RecipeError> {
        Ok(resize(image, self.size, self.filter, self.fit)?.into_data())
    }

    /// Re-encodes and resizes a decoded image to `[size, size, 3]` bytes.
    ///
    /// # Errors
    /// The errors of [`Recipe::reencode`] and [`Recipe::resize`].
    pub fn pixels(&self, decoded: &RgbImage) -> Result<Vec<u8>, RecipeError> {
        match self.reencode(decoded)? {
            None => self.resize(decoded),
            Some(saved) => self.resize(&saved.decoded.rgb),
        }
    }
}

/// Parses the value of `key` by its name. Returns the default if there is no name.
fn from_name<T: for<'de> Deserialize<'de> + Default>(key: &str, name: Option<&str>) -> Result<T, UnsupportedStep> {
    let Some(name) = name else { return Ok(T::default()) };
    let deserializer: serde::de::value::StrDeserializer<'_, ValueError> = name.into_deserializer();
    T::deserialize(deserializer).map_err(|_| UnsupportedStep(format!("the {key} `{name}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: Recipe =
        Recipe { size: 8, filter: Filter::Bilinear, fit: Fit::Squash, reencode: None, max_pixels: 1 << 20 };

    #[test]
    fn round_trips_through_the_checkpoint() {
        let reencode = Reencode { format: ReencodeFormat::Jpeg, quality: 80 };
        for filter in [Filter::Nearest, Filter::Box, Filter::Bilinear, Filter::Bicubic, Filter::Lanczos] {
            for (fit, reencode) in [(Fit::Squash, None), (Fit::Crop, Some(reencode))] {
                let recipe = Recipe { filter, fit, reencode, ..RECIPE };
                let stored = serde_json::to_string(&recipe.preprocessor_config([0.5; 3], [0.5; 3])).unwrap();
                let restored = Recipe::from_preprocessor_config(&serde_json::from_str(&stored).unwrap()).unwrap();
                assert_eq!(restored, Recipe { max_pixels: Limits::default().max_pixels, ..recipe });
            }
        }
    }

    #[test]
    fn checkpoints_without_filter_and_fit_have_the_defaults() {
        let config = PreprocessorConfig { filter: None, fit: None, ..RECIPE.preprocessor_config([0.5; 3], [0.5; 3]) };
        let restored = Recipe::from_preprocessor_config(&config).unwrap();
        assert_eq!((restored.filter, restored.fit), (Filter::default(), Fit::default()));
    }

    #[test]
    fn errors_name_unsupported_steps() {
        let config = RECIPE.preprocessor_config([0.5; 3], [0.5; 3]);
        let message = |config| Recipe::from_preprocessor_config(&config).unwrap_err().to_string();
        let hermite = PreprocessorConfig { filter: Some("hermite".to_owned()), ..config.clone() };
        assert_eq!(message(hermite), "the filter `hermite` is not supported");
        let oblong = PreprocessorConfig { size: ImageSize { height: 8, width: 9 }, ..config };
        assert_eq!(message(oblong), "resizing to 9x8 pixels is not supported");
    }

    #[test]
    fn reads_the_keys_of_an_ingest_configuration() {
        let text = r#"{"size": 32, "fit": "crop", "reencode": {"format": "jpeg", "quality": 70}, "audit": true}"#;
        let recipe: Recipe = serde_json::from_str(text).unwrap();
        let reencode = Some(Reencode { format: ReencodeFormat::Jpeg, quality: 70 });
        assert_eq!(recipe, Recipe { size: 32, fit: Fit::Crop, reencode, ..Recipe::default() });
    }

    #[test]
    fn rejects_images_of_one_colour() {
        let file = |image: &RgbImage| encode::jpeg(image, 90, Subsampling::Quarter).unwrap();
        let grey = RECIPE.decode(&file(&RgbImage::from_fn(16, 16, |_, _| [90; 3])));
        assert_eq!(grey.unwrap_err(), RecipeError::OneColour);
        let decoded = RECIPE.decode(&file(&RgbImage::from_fn(16, 16, |x, _| [x as u8 * 9; 3]))).unwrap();
        assert_eq!(RECIPE.pixels(&decoded.rgb).unwrap().len(), 8 * 8 * 3);
        assert_eq!(RECIPE.decode(b"<html>").unwrap_err().kind(), "not_an_image");
    }
}
