//! Rows of the answer, batch by batch.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use artifacts::hash::Hash;
use artifacts::{Label, RunDir, progress};
use pixels::metadata::Declared;
use rayon::prelude::*;

use super::{Content, Found, Preprocessing, Row, TrainingProfile};
use crate::calibration::{Band, Temperature, Verdict};
use crate::detector::{Detector, Score};
use crate::evaluation::Evaluation;
use crate::explain::overlay;
use crate::{Error, explain};

/// What validation chose for the detector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// The temperature.
    pub temperature: Temperature,
    /// Where no verdict is given, in calibrated P(fake).
    pub band: Band,
}

/// Why there is no calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncalibrated {
    /// Nothing has judged these weights.
    #[error(
        "no evaluation of these weights: `cargo xtask evaluate --ckpt CKPT --name NAME` makes one beside the others"
    )]
    NotEvaluated,
    /// What has judged them had nothing to fit on.
    #[error(
        "the evaluation of these weights fitted no temperature (fitting needs validation images of both classes that are \
         not themselves being judged)"
    )]
    NotFitted,
}

impl Calibration {
    /// What an evaluation of the run chose for these very weights, or why there is nothing chosen: all of them fit on the same
    /// validation images. The run's own comes before those with a name, and of these one that cannot be read is passed over.
    ///
    /// # Errors
    /// The run's own evaluation is not readable, or was changed since it was made, and no other one helps.
    pub fn of_run(run: &RunDir, weights: Hash) -> Result<Result<Calibration, Uncalibrated>, artifacts::Error> {
        let own = Calibration::of_evaluation(&run.evaluate(), weights);
        if let Ok(Ok(_)) = own {
            return own;
        }
        let mut why = own;
        for dir in run.named_evaluations()? {
            match Calibration::of_evaluation(&dir, weights) {
                Ok(Ok(calibration)) => return Ok(Ok(calibration)),
                Ok(Err(Uncalibrated::NotFitted)) if why.is_ok() => why = Ok(Err(Uncalibrated::NotFitted)),
                Ok(Err(_)) => {}
                Err(error) => progress::line(&format!("predict: passing over `{}`: {error}", dir.display())),
            }
        }
        why
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

/// A detector with all that a verdict needs.
#[derive(Debug)]
pub struct Judge {
    /// The detector.
    pub detector: Detector,
    /// How pictures are made ready for it.
    pub preprocessing: Preprocessing,
    /// Without it P(fake) is what the network says, and every picture gets a verdict at 0.5 and a warning.
    pub calibration: Result<Calibration, Uncalibrated>,
    /// What the training images were like.
    pub profile: TrainingProfile,
    /// Images in a batch.
    pub batch: usize,
    /// Where overlays go, and the layer they look at.
    pub explain: Option<(PathBuf, String)>,
}

/// A picture that is ready to be judged.
struct Ready {
    /// Its row in the answer.
    row: usize,
    pixels: Vec<u8>,
}

impl Judge {
    /// Judges pictures. One that cannot be read is a row with its error; the rows are in the order of the pictures.
    ///
    /// # Errors
    /// Those of the network, and of writing an overlay.
    pub fn rows(&mut self, found: &[Found]) -> Result<Vec<Row>, Error> {
        // The network is no part of this: a back end need not be shared between threads.
        let (preprocessing, profile) = (&self.preprocessing, &self.profile);
        let prepared: Vec<(Row, Option<Vec<u8>>)> = found
            .par_iter()
            .map(|Found { path, content }| {
                let shown = path.to_string_lossy().into_owned();
                let bytes = match content {
                    Content::File => preprocessing.read(path).map(Cow::Owned),
                    Content::Bytes(bytes) => Ok(Cow::Borrowed(bytes.as_slice())),
                    Content::Unreadable(why) => Err(why.clone()),
                };
                match bytes {
                    Ok(bytes) => prepare(preprocessing, profile, shown, &bytes),
                    Err(error) => (Row { path: shown, error: Some(error), ..Row::default() }, None),
                }
            })
            .collect();
        self.judge(prepared)
    }

    fn judge(&mut self, prepared: Vec<(Row, Option<Vec<u8>>)>) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::with_capacity(prepared.len());
        let mut ready = Vec::new();
        for (row, (mut answer, pixels)) in prepared.into_iter().enumerate() {
            answer.model = Some(self.detector.weights());
            ready.extend(pixels.map(|pixels| Ready { row, pixels }));
            rows.push(answer);
        }
        for batch in ready.chunks(self.batch.max(1)) {
            let pixels: Vec<u8> = batch.iter().flat_map(|picture| &picture.pixels).copied().collect();
            let scores = self.detector.scores(&pixels, batch.len())?;
            for (picture, score) in batch.iter().zip(scores) {
                self.decide(&mut rows[picture.row], score);
                if rows[picture.row].error.is_some() {
                    continue;
                }
                // What is shown is what speaks for the verdict; without one, for the class nearer to it.
                let class = match rows[picture.row].verdict {
                    Some(Verdict::Real) => Label::Real,
                    Some(Verdict::Fake) => Label::Fake,
                    _ => score.predicted(),
                };
                self.explain(&mut rows[picture.row], picture, class)?;
            }
        }
        Ok(rows)
    }

    fn decide(&self, row: &mut Row, score: Score) {
        let p_fake = score.p_fake();
        if !p_fake.is_finite() {
            row.error = Some("the model gives no number for it; its weights are damaged".to_owned());
            return;
        }
        row.p_fake = Some(p_fake);
        row.verdict = Some(match self.calibration {
            Ok(Calibration { temperature, band }) => {
                let calibrated = temperature.calibrate(score.margin());
                row.p_fake_calibrated = Some(calibrated);
                band.verdict(calibrated)
            }
            Err(_) => {
                row.warnings.push("P(fake) is not calibrated, and the verdict is forced at 0.5".to_owned());
                match score.predicted() {
                    Label::Real => Verdict::Real,
                    Label::Fake => Verdict::Fake,
                }
            }
        });
    }

    fn explain(&mut self, row: &mut Row, picture: &Ready, class: Label) -> Result<(), Error> {
        let Some((dir, layer)) = &self.explain else {
            return Ok(());
        };
        let maps = self.detector.heat_maps(&picture.pixels, &[class], layer)?;
        // Named by content: a file's own name may hold anything, and two files may share one.
        let name = format!("{}-{class}.png", row.file.map_or_else(|| "stdin".to_owned(), |hash| hash.short()));
        for map in &maps {
            explain::write_png(dir, &name, &overlay(&picture.pixels, self.detector.size(), map))?;
        }
        row.explanation = Some(Path::new(dir).join(name).to_string_lossy().into_owned());
        Ok(())
    }
}

/// A file's bytes to its row so far and the pixels that the network sees.
fn prepare(
    preprocessing: &Preprocessing,
    profile: &TrainingProfile,
    path: String,
    bytes: &[u8],
) -> (Row, Option<Vec<u8>>) {
    let mut row = Row { path, file: Some(Hash::of(bytes)), ..Row::default() };
    let squared = preprocessing.decode(bytes).and_then(|decoded| {
        let format = decoded.format.name();
        row.warnings = profile.warnings(format, decoded.width, decoded.height);
        row.format = Some(format.to_owned());
        row.declares = Declared::read(bytes, decoded.format);
        (row.width, row.height) = (Some(decoded.width), Some(decoded.height));
        preprocessing.square(&decoded.rgb)
    });
    match squared {
        Ok(pixels) => (row, Some(pixels)),
        Err(error) => (Row { error: Some(error), ..row }, None),
    }
}
