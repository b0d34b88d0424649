//! From a file's bytes to the pixels that the network sees, as ingest makes them.

use std::path::{Path, PathBuf};

use artifacts::Manifest;
use artifacts::schema::{PreprocessorConfig, Reencode, ReencodeFormat};
use pixels::{Decoded, Filter, Fit, Limits, decode, degrade, file, resize};
use serde::de::DeserializeOwned;

/// How the checkpoint's training images were made.
#[derive(Clone, Copy, Debug)]
pub struct Preprocessing {
    size: u32,
    filter: Filter,
    fit: Fit,
    reencode: Option<Reencode>,
    limits: Limits,
}

/// A checkpoint whose preprocessing cannot be repeated.
#[derive(Debug, thiserror::Error)]
#[error("the checkpoint in `{}` says that its images were made by {what}, which this build does not know", path.display())]
pub struct UnknownPreprocessing {
    path: PathBuf,
    what: String,
}

impl Preprocessing {
    /// As a checkpoint has it; `path` is its folder.
    ///
    /// # Errors
    /// A filter or fit that is not known, and images that are not square.
    pub fn of(config: &PreprocessorConfig, path: &Path) -> Result<Preprocessing, UnknownPreprocessing> {
        let unknown = |what: String| UnknownPreprocessing { path: path.to_owned(), what };
        if config.size.height != config.size.width {
            return Err(unknown(format!("resizing to {}x{}", config.size.width, config.size.height)));
        }
        Ok(Preprocessing {
            size: config.size.height as u32,
            filter: named(config.filter.as_deref()).map_err(|name| unknown(format!("the filter `{name}`")))?,
            fit: named(config.fit.as_deref()).map_err(|name| unknown(format!("the fit `{name}`")))?,
            reencode: config.reencode,
            limits: Limits::default(),
        })
    }

    /// The same, within the limit on pixels that images were ingested with.
    pub fn after_ingest(self, manifest: &Manifest) -> Preprocessing {
        let limits = manifest.config["max_pixels"].as_u64().map_or(self.limits, |max_pixels| Limits { max_pixels });
        Preprocessing { limits, ..self }
    }

    /// The same for the pixels of shards, which have been saved again already.
    pub fn of_stored(self) -> Preprocessing {
        Preprocessing { reencode: None, ..self }
    }

    /// Decodes bytes.
    ///
    /// # Errors
    /// Why they are not an image that can be judged, in words. A picture of one colour is none: broken files decode to it,
    /// and ingest rejects it.
    pub fn decode(&self, bytes: &[u8]) -> Result<Decoded, String> {
        let decoded = decode(bytes, &self.limits).map_err(|error| error.to_string())?;
        if decoded.rgb.is_one_colour() {
            return Err("every pixel has the same colour, as in many broken files".to_owned());
        }
        Ok(decoded)
    }

    /// Brings a picture to the network's size: `[size, size, 3]`.
    ///
    /// # Errors
    /// Why it cannot be, in words.
    pub fn square(&self, picture: &pixels::RgbImage) -> Result<Vec<u8>, String> {
        let again = self.reencode.map(|reencode| match reencode.format {
            ReencodeFormat::Jpeg => degrade::jpeg(picture, reencode.quality),
        });
        let again = again.transpose().map_err(|error| error.to_string())?;
        let picture = again.as_ref().unwrap_or(picture);
        let square = resize(picture, self.size, self.filter, self.fit).map_err(|error| error.to_string())?;
        Ok(square.into_data())
    }

    /// Reads a file, unless it is longer than any image within the limit on pixels can be.
    ///
    /// # Errors
    /// Why it cannot be read, in words.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        file::read(path, self.limits.max_file_bytes()).map_err(|error| error.to_string())
    }
}

/// A value of an enum by its name in a configuration; its default where there is none.
fn named<T: DeserializeOwned + Default>(name: Option<&str>) -> Result<T, String> {
    let Some(name) = name else {
        return Ok(T::default());
    };
    serde_json::from_value(serde_json::Value::String(name.to_owned())).map_err(|_| name.to_owned())
}

#[cfg(test)]
mod tests {
    use artifacts::schema::ImageSize;
    use pixels::RgbImage;
    use pixels::encode::{Subsampling, jpeg};

    use super::*;

    fn config(filter: Option<&str>, width: usize) -> PreprocessorConfig {
        PreprocessorConfig {
            do_resize: true,
            size: ImageSize { height: 8, width },
            filter: filter.map(str::to_owned),
            fit: None,
            reencode: None,
            do_rescale: true,
            rescale_factor: 1.0 / 255.0,
            do_normalize: true,
            image_mean: [0.5; 3],
            image_std: [0.5; 3],
        }
    }

    #[test]
    fn what_cannot_be_repeated_is_named() {
        let message = |config| Preprocessing::of(&config, Path::new("best")).unwrap_err().to_string();
        assert!(message(config(Some("hermite"), 8)).contains("hermite"));
        assert!(message(config(None, 9)).contains("9x8"));
    }

    #[test]
    fn a_picture_of_one_colour_is_no_picture() {
        let preprocessing = Preprocessing::of(&config(Some("bilinear"), 8), Path::new("best")).unwrap();
        let bytes = |picture: &RgbImage| jpeg(picture, 90, Subsampling::Quarter).unwrap();
        let grey = preprocessing.decode(&bytes(&RgbImage::from_fn(16, 16, |_, _| [90; 3])));
        assert!(grey.unwrap_err().contains("same colour"));
        let decoded = preprocessing.decode(&bytes(&RgbImage::from_fn(16, 16, |x, _| [x as u8 * 9; 3]))).unwrap();
        assert_eq!(preprocessing.square(&decoded.rgb).unwrap().len(), 8 * 8 * 3);
        assert!(preprocessing.decode(b"GIF89a").is_err());
    }
}
