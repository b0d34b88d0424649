//! Computation of results, batch by batch.

use std::borrow::Cow;

use artifacts::Label;
use artifacts::hash::Hash;
use evaluate::Score;
use evaluate::calibration::Verdict;
use pixels::metadata::Declared;
use pixels::{Recipe, file};
use provenance::{Provenance, TrustList};
use rayon::prelude::*;

use crate::check::{Check, CheckOptions};
use crate::error::Error;
use crate::files::{Content, Found};
use crate::judge::{Judge, Prepared, fail_if_cancelled};
use crate::model_info::ModelInfo;
use crate::row::Row;
use crate::{drawing, likeness, stability};

/// The number of native images that are in memory at once.
const MAX_PICTURES: usize = 8;

impl Judge {
    /// Computes the result for the bytes of one picture. `name` becomes [`Row::path`].
    ///
    /// # Errors
    /// Errors of the model. A picture that cannot be read is no error: its row states why.
    pub fn check(&mut self, name: &str, bytes: &[u8], options: &CheckOptions) -> Result<Check, Error> {
        self.check_unless(name, bytes, options, &|| false)
    }

    /// Computes the result like [`Judge::check`]. `is_cancelled` is called before each pass through the model.
    ///
    /// # Errors
    /// [`Error::Cancelled`] once `is_cancelled` returns true, and errors of the model.
    pub fn check_unless(
        &mut self,
        name: &str,
        bytes: &[u8],
        options: &CheckOptions,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Check, Error> {
        let prepared = prepare(&self.preparation(options), name.to_owned(), bytes);
        let mut checks = self.finish(vec![prepared], options, is_cancelled)?;
        Ok(checks.pop().unwrap_or_default())
    }

    /// Computes the results for some files, in their order. A file that cannot be read has a row with its error.
    ///
    /// # Errors
    /// Errors of the model.
    pub fn checks(&mut self, found: &[Found], options: &CheckOptions) -> Result<Vec<Check>, Error> {
        let mut checks = Vec::with_capacity(found.len());
        for found in found.chunks(self.at_once(options).unwrap_or(found.len()).max(1)) {
            // The closure must not capture the detector, whose back end need not be `Sync`.
            let preparation = self.preparation(options);
            let prepared = found.par_iter().map(|found| prepare_found(&preparation, found)).collect();
            checks.extend(self.finish(prepared, options, &|| false)?);
        }
        Ok(checks)
    }

    /// Returns the number of files that [`Judge::checks`] has in memory at once; `None` for all.
    pub(crate) fn at_once(&self, options: &CheckOptions) -> Option<usize> {
        // Native images take much memory, up to 300 MB each.
        let keeps_native = self.detector.branch_detector().is_some() || options.needs_decoded();
        keeps_native.then_some(MAX_PICTURES)
    }

    fn preparation<'a>(&'a self, options: &'a CheckOptions) -> Preparation<'a> {
        Preparation {
            recipe: &self.recipe,
            info: &self.info,
            keeps_picture: self.detector.branch_detector().is_some(),
            keeps_decoded: options.needs_decoded(),
            trust: options.trust.as_ref(),
        }
    }

    /// Computes the scores of prepared images, batch by batch, and completes their results.
    fn finish(
        &mut self,
        prepared: Vec<(Row, Option<Prepared>)>,
        options: &CheckOptions,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Vec<Check>, Error> {
        let mut checks = Vec::with_capacity(prepared.len());
        let mut ready = Vec::new();
        for (index, (mut row, image)) in prepared.into_iter().enumerate() {
            row.model = Some(self.detector.weights());
            ready.extend(image.map(|image| (index, image)));
            checks.push(Check { row, ..Check::default() });
        }
        let (indices, mut images): (Vec<usize>, Vec<Prepared>) = ready.into_iter().unzip();
        let size = self.batch.max(1);
        for (indices, images) in indices.chunks(size).zip(images.chunks_mut(size)) {
            fail_if_cancelled(is_cancelled)?;
            let scores = self.scores(images)?;
            for ((index, image), score) in indices.iter().zip(&*images).zip(scores) {
                let check = &mut checks[*index];
                self.set_verdict(&mut check.row, &score);
                if check.row.error.is_some() {
                    continue;
                }
                if options.stability {
                    stability::measure(self, &mut check.row, image, is_cancelled)?;
                }
                if options.explain {
                    fail_if_cancelled(is_cancelled)?;
                    let class = shown_class(check.row.verdict, &score);
                    check.overlays = drawing::overlays(self, &check.row, image, class, &options.layer)?;
                }
                if let Some((side, decoded)) = options.picture.zip(image.decoded.as_ref()) {
                    check.picture = Some(drawing::picture(decoded, side)?);
                }
            }
        }
        Ok(checks)
    }

    fn set_verdict(&self, row: &mut Row, score: &Score) {
        let p_fake = score.p_fake();
        if !p_fake.is_finite() {
            row.error = Some("the model output is not a finite number; its weights are damaged".to_owned());
            return;
        }
        row.p_fake = Some(p_fake);
        row.branches = evaluate::p_fake_of_branches(&self.detector.branches(), score);
        let used = self.p_fake(score);
        if self.info.calibration.is_some() {
            row.p_fake_calibrated = Some(used);
        } else {
            row.warnings.push("P(fake) is not calibrated; the verdict uses the threshold 0.5".to_owned());
        }
        self.set_verdict_of(row, used, self.verdict(used));
    }
}

impl CheckOptions {
    fn needs_decoded(&self) -> bool {
        self.stability || self.picture.is_some()
    }
}

/// Returns the class whose evidence is shown: that of the verdict, or the predicted class if the verdict is
/// inconclusive.
fn shown_class(verdict: Option<Verdict>, score: &Score) -> Label {
    match verdict {
        Some(Verdict::Real) => Label::Real,
        Some(Verdict::Fake) => Label::Fake,
        _ => score.predicted(),
    }
}

/// What the preparation of an image depends on.
struct Preparation<'a> {
    recipe: &'a Recipe,
    info: &'a ModelInfo,
    keeps_picture: bool,
    keeps_decoded: bool,
    trust: Option<&'a TrustList>,
}

fn prepare_found(preparation: &Preparation<'_>, Found { path, content }: &Found) -> (Row, Option<Prepared>) {
    let shown = path.to_string_lossy().into_owned();
    let bytes = match content {
        Content::File => {
            let read = file::read(path, preparation.recipe.limits().max_file_bytes());
            read.map(Cow::Owned).map_err(|error| error.to_string())
        }
        Content::Bytes(bytes) => Ok(Cow::Borrowed(bytes.as_slice())),
        Content::Unreadable(why) => Err(why.clone()),
    };
    match bytes {
        Ok(bytes) => prepare(preparation, shown, &bytes),
        Err(error) => (Row { path: shown, error: Some(error), ..Row::default() }, None),
    }
}

/// Decodes a file. Returns its row without scores, and what the model needs of it unless there is an error.
fn prepare(preparation: &Preparation<'_>, path: String, bytes: &[u8]) -> (Row, Option<Prepared>) {
    let Preparation { recipe, info, .. } = preparation;
    let mut row = Row { path, file: Some(Hash::of(bytes)), ..Row::default() };
    let prepared = recipe.decode(bytes).and_then(|decoded| {
        let format = decoded.format.name();
        row.warnings = info.profile.warnings(format, decoded.width, decoded.height);
        row.warnings.extend(likeness::warnings(bytes, decoded.format, &decoded.rgb));
        row.warnings.extend(decoded.warning.map(|warning| warning.to_string()));
        row.format = Some(format.to_owned());
        row.declares = Declared::read(bytes, decoded.format);
        row.provenance = Some(Provenance::read(bytes, decoded.format, preparation.trust));
        (row.width, row.height) = (Some(decoded.width), Some(decoded.height));
        let size = [decoded.rgb.width(), decoded.rgb.height()];
        let kept = preparation.keeps_decoded.then(|| decoded.rgb.clone());
        let picture = recipe.picture(decoded.rgb, Some(Cow::Borrowed(bytes)))?;
        Ok(Prepared { decoded: kept, ..Prepared::of(picture, size, preparation.keeps_picture) })
    });
    match prepared {
        Ok(prepared) => (row, Some(prepared)),
        Err(error) => (Row { error: Some(error.to_string()), ..row }, None),
    }
}
