//! Where in an image the branches find evidence.

use artifacts::Label;
use model::HeatMap;
use pixels::RgbImage;

use crate::checkpoint::BranchDetector;
use crate::config::BranchName;
use crate::error::Result;
use crate::extractor::Picture;

/// What each part of an image adds to the margin of a branch.
#[derive(Clone, Debug)]
pub struct EvidenceMap {
    /// The branch.
    pub branch: BranchName,
    /// The image that the map covers: the input of the branch.
    pub image: RgbImage,
    /// The contributions, `[height, width]`: positive values speak for fake, negative ones for real.
    pub contributions: HeatMap,
}

impl EvidenceMap {
    /// The evidence for a class; 0 where the image speaks for the other class.
    pub fn for_class(&self, class: Label) -> HeatMap {
        let sign = if class == Label::Fake { 1.0 } else { -1.0 };
        let values = self.contributions.values.iter().map(|value| (sign * value).max(0.0)).collect();
        HeatMap { values, ..self.contributions.clone() }
    }
}

impl BranchDetector {
    /// Computes the evidence map of each branch that has one.
    ///
    /// - `vit`: what each patch of the transformer's input adds to the margin, to first order. As in Grad-CAM (Selvaraju
    ///   et al. 2017, arXiv 1610.02391), activations are weighted with gradients.
    /// - `patches`: the margins of windows all over the image, times their shares of the attention. The branch itself judges
    ///   a few of these windows.
    /// - ResNets: Grad-CAM for fake minus Grad-CAM for real.
    ///
    /// Branches without places in the image, and those that have nothing to say about it, have no map.
    ///
    /// # Errors
    /// A branch failed.
    pub fn evidence_maps(&mut self, picture: &Picture<'_>) -> Result<Vec<EvidenceMap>> {
        let image = &picture.image;
        let map = |branch, (contributions, image)| EvidenceMap { branch, image, contributions };
        let frozen = self.extractor().patch_contributions(image, self.fusion())?;
        let mut maps: Vec<EvidenceMap> = frozen.into_iter().map(|found| map(BranchName::Vit, found)).collect();
        for (name, branch) in self.trained().iter_mut() {
            maps.extend(branch.evidence_map(image)?.map(|found| map(name, found)));
        }
        Ok(maps)
    }
}
