//! What is computed of a picture, and the result.

use artifacts::Label;
use provenance::TrustList;

use crate::row::Row;

/// What is computed of a picture beside its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckOptions {
    /// Whether to draw the evidence for the verdict.
    pub explain: bool,
    /// The layer whose activations Grad-CAM shows; ignored for detectors of branches.
    pub layer: String,
    /// Whether to compute how P(fake) changes when the picture is encoded, scaled and cropped a little.
    pub stability: bool,
    /// The longest side of [`Check::picture`] in pixels; `None` if it is not needed.
    pub picture: Option<u32>,
    /// The signers of Content Credentials that are trusted.
    pub trust: Option<TrustList>,
}

impl Default for CheckOptions {
    fn default() -> CheckOptions {
        CheckOptions {
            explain: false,
            layer: CheckOptions::LAYER.to_owned(),
            stability: false,
            picture: None,
            trust: None,
        }
    }
}

impl CheckOptions {
    /// The default of [`CheckOptions::layer`].
    pub const LAYER: &'static str = "layer4";
}

/// The result for a picture.
#[derive(Clone, Debug, Default)]
pub struct Check {
    /// Verdict, scores and everything else that `predict --json` prints.
    pub row: Row,
    /// Drawings of the evidence for the verdict, if asked for.
    pub overlays: Vec<Overlay>,
    /// The decoded picture as JPEG without metadata, at most as large as asked for, after EXIF orientation.
    pub picture: Option<Vec<u8>>,
}

/// A drawing of the evidence for a verdict.
#[derive(Clone, Debug)]
pub struct Overlay {
    /// The branch whose evidence it is; `None` for Grad-CAM of a network.
    pub branch: Option<String>,
    /// The class for which it is evidence.
    pub class: Label,
    /// A file name, unique among the files of all pictures: the file's hash, branch and class.
    pub name: String,
    /// PNG: the evidence drawn over the image that the model judged.
    pub png: Vec<u8>,
    /// PNG: the evidence alone, in the colours of the legend, from dark for none to bright for the strongest.
    pub heat: Vec<u8>,
    /// The part of the picture that [`Overlay::heat`] covers: left, top, right and bottom as shares of width and height.
    pub region: [f64; 4],
}
