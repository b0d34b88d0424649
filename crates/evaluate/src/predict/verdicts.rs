//! Computation of verdicts, batch by batch.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use artifacts::hash::Hash;
use artifacts::{Label, RunDir, progress};
use pixels::metadata::Declared;
use pixels::{Picture, Recipe, file};
use rayon::prelude::*;

use super::{Content, Found, Row, TrainingProfile};
use crate::calibration::{Band, Temperature, Verdict};
use crate::detector::{Detector, Score};
use crate::evaluation::Evaluation;
use crate::explain::overlay;
use crate::{Error, explain, inference};

/// The calibration of a detector, fitted on validation images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// The temperature.
    pub temperature: Temperature,
    /// The range of calibrated P(fake) in which a verdict is inconclusive.
    pub band: Band,
}

/// Why a detector has no calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncalibrated {
    /// No evaluation has these weights.
    #[error(
        "no evaluation has these weights; `cargo xtask evaluate --ckpt CKPT --name NAME` makes one beside the others"
    )]
    NotEvaluated,
    /// The evaluation of these weights had no suitable validation images to fit on.
    #[error(
        "the evaluation of these weights fitted no temperature; fitting needs validation images of both classes that \
         are not themselves evaluated"
    )]
    NotFitted,
}

impl Calibration {
    /// Returns the calibration of these weights from an evaluation of the run, or why there is none. Looks in
    /// `evaluate` first, then in each `evaluate-NAME`; all of them are fitted on the same validation images. Unreadable
    /// evaluations with a name are skipped with a message.
    ///
    /// # Errors
    /// The evaluation `evaluate` is unreadable or was changed, and no other one has a calibration.
    pub fn of_run(run: &RunDir, weights: Hash) -> Result<Result<Calibration, Uncalibrated>, artifacts::Error> {
        let mut found = Calibration::of_evaluation(&run.evaluate(), weights);
        if let Ok(Ok(_)) = found {
            return found;
        }
        for dir in run.named_evaluations()? {
            match Calibration::of_evaluation(&dir, weights) {
                Ok(Ok(calibration)) => return Ok(Ok(calibration)),
                Ok(Err(Uncalibrated::NotFitted)) if found.is_ok() => found = Ok(Err(Uncalibrated::NotFitted)),
                Ok(Err(_)) => {}
                Err(error) => progress::line(&format!("predict: skipping `{}`: {error}", dir.display())),
            }
        }
        found
    }

    fn of_evaluation(dir: &Path, weights: Hash) -> Result<Result<Calibration, Uncalibrated>, artifacts::Error> {
        let Some(evaluation) = Evaluation::find(dir)? else {
            return Ok(Err(Uncalibrated::NotEvaluated));
        };
        let Some(run) = evaluation.metrics()?.runs.into_iter().find(|run| run.weights == Some(weights)) else {
            return Ok(Err(Uncalibrated::NotEvaluated));
        };
        Ok(run.fitted.ok_or(Uncalibrated::NotFitted).map(|fitted| Calibration {
            temperature: Temperature(fitted.temperature),
            band: Band { low: fitted.inconclusive.low, high: fitted.inconclusive.high },
        }))
    }
}

/// A detector with everything else that verdicts depend on.
#[derive(Debug)]
pub struct Judge {
    /// The detector.
    pub detector: Detector,
    /// How files become pixels.
    pub recipe: Recipe,
    /// The calibration. Without it, verdicts use the uncalibrated P(fake) at threshold 0.5 and have a warning.
    pub calibration: Result<Calibration, Uncalibrated>,
    /// The formats and sizes of the training images.
    pub profile: TrainingProfile,
    /// The number of images in a batch.
    pub batch: usize,
    /// The folder for Grad-CAM overlays, and the layer that they show.
    pub explain: Option<(PathBuf, String)>,
}

/// An image, and the index of its row.
struct Prepared {
    row: usize,
    /// `[size, size, 3]`.
    pixels: Vec<u8>,
    /// The file and the native image, for a detector of branches.
    picture: Option<branches::Picture<'static>>,
}

/// The number of native images that are in memory at once.
const MAX_PICTURES: usize = 8;

/// What the detector needs of an image: its resized pixels, and the picture for a detector of branches.
type Needed = (Vec<u8>, Option<branches::Picture<'static>>);

impl Judge {
    /// Computes the rows of some files, in their order. A file that cannot be read has a row with its error.
    ///
    /// # Errors
    /// Errors of the network and of writing an overlay.
    pub fn rows(&mut self, found: &[Found]) -> Result<Vec<Row>, Error> {
        // Native images take much memory, up to 300 MB each.
        let at_once = if self.detector.branch_detector().is_some() { MAX_PICTURES } else { found.len().max(1) };
        let mut rows = Vec::with_capacity(found.len());
        for found in found.chunks(at_once) {
            rows.extend(self.rows_at_once(found)?);
        }
        Ok(rows)
    }

    /// Computes the rows of files that are decoded at once.
    fn rows_at_once(&mut self, found: &[Found]) -> Result<Vec<Row>, Error> {
        // The closure must not capture the detector, whose back end need not be `Sync`.
        let (recipe, profile) = (&self.recipe, &self.profile);
        let judges_files = self.detector.branch_detector().is_some();
        let prepared: Vec<(Row, Option<Needed>)> = found
            .par_iter()
            .map(|Found { path, content }| {
                let shown = path.to_string_lossy().into_owned();
                let bytes = match content {
                    Content::File => {
                        let read = file::read(path, recipe.limits().max_file_bytes());
                        read.map(Cow::Owned).map_err(|error| error.to_string())
                    }
                    Content::Bytes(bytes) => Ok(Cow::Borrowed(bytes.as_slice())),
                    Content::Unreadable(why) => Err(why.clone()),
                };
                match bytes {
                    Ok(bytes) => {
                        let (row, picture) = prepare(recipe, profile, shown, &bytes);
                        // Only what the detector needs is kept.
                        let needed = |picture: Picture<'_>| match judges_files {
                            true => {
                                let pixels = picture.pixels.to_vec();
                                (pixels, Some(branches::Picture::from(picture.into_owned())))
                            }
                            false => (picture.pixels.into_owned(), None),
                        };
                        (row, picture.map(needed))
                    }
                    Err(error) => (Row { path: shown, error: Some(error), ..Row::default() }, None),
                }
            })
            .collect();
        self.score(prepared)
    }

    /// Computes the scores of prepared images, batch by batch, and completes their rows.
    fn score(&mut self, prepared: Vec<(Row, Option<Needed>)>) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::with_capacity(prepared.len());
        let mut ready = Vec::new();
        for (index, (mut row, needed)) in prepared.into_iter().enumerate() {
            row.model = Some(self.detector.weights());
            ready.extend(needed.map(|(pixels, picture)| Prepared { row: index, pixels, picture }));
            rows.push(row);
        }
        for batch in ready.chunks_mut(self.batch.max(1)) {
            let pictures: Vec<_> = batch.iter_mut().filter_map(|image| image.picture.take()).collect();
            let scores = if pictures.is_empty() {
                let pixels: Vec<u8> = batch.iter().flat_map(|image| &image.pixels).copied().collect();
                self.detector.scores(&pixels, batch.len())?
            } else {
                self.detector.picture_scores(&pictures)?
            };
            for (index, (picture, score)) in batch.iter().zip(scores).enumerate() {
                self.set_verdict(&mut rows[picture.row], &score);
                if rows[picture.row].error.is_some() {
                    continue;
                }
                // The overlay shows the evidence for the verdict. If it is inconclusive, it shows that for the
                // predicted class.
                let class = match rows[picture.row].verdict {
                    Some(Verdict::Real) => Label::Real,
                    Some(Verdict::Fake) => Label::Fake,
                    _ => score.predicted(),
                };
                self.explain(&mut rows[picture.row], picture, pictures.get(index), class)?;
            }
        }
        Ok(rows)
    }

    fn set_verdict(&self, row: &mut Row, score: &Score) {
        let p_fake = score.p_fake();
        if !p_fake.is_finite() {
            row.error = Some("the model output is not a finite number; its weights are damaged".to_owned());
            return;
        }
        row.p_fake = Some(p_fake);
        row.branches = inference::p_fake_of_branches(&self.detector.branches(), score);
        row.verdict = Some(match self.calibration {
            Ok(Calibration { temperature, band }) => {
                let calibrated = temperature.calibrate(score.margin());
                row.p_fake_calibrated = Some(calibrated);
                band.verdict(calibrated)
            }
            Err(_) => {
                row.warnings.push("P(fake) is not calibrated; the verdict uses the threshold 0.5".to_owned());
                match score.predicted() {
                    Label::Real => Verdict::Real,
                    Label::Fake => Verdict::Fake,
                }
            }
        });
    }

    fn explain(
        &mut self,
        row: &mut Row,
        image: &Prepared,
        picture: Option<&branches::Picture<'static>>,
        class: Label,
    ) -> Result<(), Error> {
        let Some((dir, layer)) = &self.explain else {
            return Ok(());
        };
        // The overlay is named by the file's hash, because file names may hold any characters and need not be unique.
        let stem = row.file.map_or_else(|| "stdin".to_owned(), |hash| hash.short());
        let path = |name: &str| Path::new(dir).join(name).to_string_lossy().into_owned();
        if let Some(picture) = picture {
            for map in self.detector.evidence_maps(picture)? {
                let name = format!("{stem}-{}-{class}.png", map.branch);
                explain::write_png(dir, &name, &explain::branch_overlay(&map.image, &map.for_class(class)))?;
                row.explanations.insert(map.branch.name().to_owned(), path(&name));
                row.explanation.get_or_insert_with(|| path(&name));
            }
            return Ok(());
        }
        let name = format!("{stem}-{class}.png");
        for map in &self.detector.heat_maps(&image.pixels, &[class], layer)? {
            explain::write_png(dir, &name, &overlay(&image.pixels, self.detector.size(), map))?;
            row.explanation = Some(path(&name));
        }
        Ok(())
    }
}

/// Decodes a file. Returns its row without scores, and the picture in it unless there is an error.
fn prepare<'a>(
    recipe: &Recipe,
    profile: &TrainingProfile,
    path: String,
    bytes: &'a [u8],
) -> (Row, Option<Picture<'a>>) {
    let mut row = Row { path, file: Some(Hash::of(bytes)), ..Row::default() };
    let picture = recipe.decode(bytes).and_then(|decoded| {
        let format = decoded.format.name();
        row.warnings = profile.warnings(format, decoded.width, decoded.height);
        row.warnings.extend(decoded.warning.map(|warning| warning.to_string()));
        row.format = Some(format.to_owned());
        row.declares = Declared::read(bytes, decoded.format);
        (row.width, row.height) = (Some(decoded.width), Some(decoded.height));
        recipe.picture(decoded.rgb, Some(Cow::Borrowed(bytes)))
    });
    match picture {
        Ok(picture) => (row, Some(picture)),
        Err(error) => (Row { error: Some(error.to_string()), ..row }, None),
    }
}
