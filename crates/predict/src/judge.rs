//! A detector with everything else that verdicts depend on.

use evaluate::calibration::Verdict;
use evaluate::{Detector, Score};
use pixels::{Picture, Recipe, RgbImage};

use crate::error::Error;
use crate::machine::Machine;
use crate::model_info::ModelInfo;
use crate::row::Row;

/// A detector with everything else that verdicts depend on.
#[derive(Debug)]
pub struct Judge {
    /// The detector.
    pub detector: Detector,
    /// How files become pixels.
    pub recipe: Recipe,
    /// The calibration, and what is known of the model. Without calibration, verdicts use the uncalibrated P(fake) at
    /// threshold 0.5 and have a warning.
    pub info: ModelInfo,
    /// The device in words.
    pub device: String,
    /// Where it computes.
    pub machine: Machine,
    /// The number of images in a batch of the network.
    pub batch: usize,
}

/// What is needed of a decoded file.
pub(crate) struct Prepared {
    /// `[size, size, 3]`.
    pub(crate) pixels: Vec<u8>,
    /// The file and the native image, for a detector of branches.
    pub(crate) picture: Option<branches::Picture<'static>>,
    /// The decoded image before re-encoding, if the options need it.
    pub(crate) decoded: Option<RgbImage>,
    /// Width and height of the decoded image.
    pub(crate) size: [u32; 2],
}

impl Judge {
    /// Computes the scores of some images in one batch.
    pub(crate) fn scores(&mut self, images: &mut [Prepared]) -> Result<Vec<Score>, Error> {
        if self.detector.branch_detector().is_some() {
            // Taken and given back, because the pictures are large and must be adjacent.
            let pictures: Vec<_> = images.iter_mut().filter_map(|image| image.picture.take()).collect();
            let scores = self.detector.picture_scores(&pictures);
            images.iter_mut().zip(pictures).for_each(|(image, picture)| image.picture = Some(picture));
            return Ok(scores?);
        }
        let pixels: Vec<u8> = images.iter().flat_map(|image| &image.pixels).copied().collect();
        Ok(self.detector.scores(&pixels, images.len())?)
    }

    /// Returns the P(fake) that verdicts are based on: calibrated, if the model has a calibration.
    pub(crate) fn p_fake(&self, score: &Score) -> f64 {
        match &self.info.calibration {
            Some(calibration) => calibration.p_fake(score.margin()),
            None => score.p_fake(),
        }
    }

    /// Returns the verdict on an image with this P(fake), see [`Judge::p_fake`].
    pub(crate) fn verdict(&self, p_fake: f64) -> Verdict {
        match &self.info.calibration {
            Some(calibration) => calibration.verdict(p_fake),
            None if p_fake >= 0.5 => Verdict::Fake,
            None => Verdict::Real,
        }
    }

    /// Sets the verdict, and what validation showed at this P(fake), see [`Judge::p_fake`].
    pub(crate) fn set_verdict_of(&self, row: &mut Row, p_fake: f64, verdict: Verdict) {
        row.set_verdict(verdict);
        match self.info.validation_at(p_fake, verdict) {
            Ok(found) => row.validation = Some(found),
            Err(why) => row.validation_missing = Some(why),
        }
    }
}

impl Prepared {
    /// Keeps only what the detector needs of a picture.
    pub(crate) fn of(picture: Picture<'_>, size: [u32; 2], keeps_picture: bool) -> Prepared {
        if keeps_picture {
            let pixels = picture.pixels.to_vec();
            let picture = Some(branches::Picture::from(picture.into_owned()));
            return Prepared { pixels, picture, decoded: None, size };
        }
        Prepared { pixels: picture.pixels.into_owned(), picture: None, decoded: None, size }
    }
}

/// Fails if the result is no longer wanted.
pub(crate) fn fail_if_cancelled(is_cancelled: &dyn Fn() -> bool) -> Result<(), Error> {
    if is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
}
