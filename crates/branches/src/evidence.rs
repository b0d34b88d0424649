//! Where in an image the branches find evidence.

use artifacts::Label;
use model::HeatMap;
use pixels::RgbImage;
use signals::patches;

use crate::checkpoint::BranchDetector;
use crate::config::BranchName;
use crate::error::Result;
use crate::extractor::Picture;
use crate::windows::Windows;

/// The largest number of windows in a row and in a column of the map of the branch `patches`.
const WINDOWS: u32 = 16;

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
    ///
    /// Branches without places in the image, and those that have nothing to say about it, have no map.
    ///
    /// # Errors
    /// A branch failed.
    pub fn evidence_maps(&mut self, picture: &Picture<'_>) -> Result<Vec<EvidenceMap>> {
        let vit = self.vit_map(&picture.image)?;
        let patches = self.patches_map(&picture.image)?;
        Ok(vit.into_iter().chain(patches).collect())
    }

    fn vit_map(&self, image: &RgbImage) -> Result<Option<EvidenceMap>> {
        let map = self.extractor().patch_contributions(image, self.fusion())?;
        Ok(map.map(|(contributions, image)| EvidenceMap { branch: BranchName::Vit, image, contributions }))
    }

    fn patches_map(&mut self, image: &RgbImage) -> Result<Option<EvidenceMap>> {
        let config = self.config().patches.clone();
        let Some(patches) = self.patch_branch() else { return Ok(None) };
        let (columns, windows) = patches::grid(image, config.side as u32, WINDOWS);
        if windows.is_empty() {
            return Ok(None);
        }
        let all = Windows { pixels: config.residuals(&windows), counts: vec![windows.len()] };
        let evidence = patches.evidence(&all)?.into_iter().flatten();
        let values = evidence.map(|window| window.attention * window.margin).collect();
        let contributions = HeatMap { values, height: windows.len() / columns, width: columns };
        Ok(Some(EvidenceMap { branch: BranchName::Patches, image: image.clone(), contributions }))
    }
}
