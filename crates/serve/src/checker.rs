//! What the server needs of a model.

use artifacts::stage::Failure;
use serde_json::Value;

/// A file that a client sent.
#[derive(Debug)]
pub struct PictureFile {
    /// The name that the client gave. It is shown, and never used as a path.
    pub name: String,
    /// The content.
    pub bytes: Vec<u8>,
    /// Whether [`Checked::images`] and [`Checked::picture`] are wanted.
    pub images: bool,
    /// Whether the check is repeated on re-encoded, scaled and cropped copies.
    pub stability: bool,
}

/// The result of a check.
#[derive(Debug, Default)]
pub struct Checked {
    /// The object that `predict --json` prints.
    pub result: Value,
    /// The record with which the check can be repeated.
    pub record: Value,
    /// What the file declares about its origin, in sentences.
    pub origin: Vec<String>,
    /// The heat maps.
    pub images: Vec<EvidenceImage>,
    /// The picture as a JPEG, after EXIF orientation and small enough for a page.
    pub picture: Option<Vec<u8>>,
}

/// A heat map.
#[derive(Debug)]
pub struct EvidenceImage {
    /// The name of the branch; empty if the model has no branches.
    pub branch: String,
    /// The class for which it shows the evidence: `real` or `fake`.
    pub class: String,
    /// A PNG of the image that the model judged, with the heat map over it.
    pub overlay: Vec<u8>,
    /// A PNG of the heat map alone.
    pub heat: Vec<u8>,
    /// The part of [`Checked::picture`] that the heat map covers: left, top, right and bottom as shares of width and
    /// height.
    pub region: [f64; 4],
}

/// A model that checks pictures, one at a time. It stays on the thread that opened it.
pub trait Checker {
    /// Describes the model: an object that `/api/health` shows.
    fn model(&self) -> Value;

    /// Checks a file. A file that is no picture has a result with an `error`.
    ///
    /// A long check calls `is_cancelled` now and then, and returns early once it is true. Its result is not used then.
    ///
    /// # Errors
    /// The model failed.
    fn check(&mut self, file: &PictureFile, is_cancelled: &dyn Fn() -> bool) -> Result<Checked, Failure>;
}

/// Opens a model. It is called at the start, and again after a panic, whose cause may have left the model in an
/// inconsistent state.
pub type OpenChecker = Box<dyn FnMut() -> Result<Box<dyn Checker>, Failure> + Send>;
