//! Features of the branches for some images.

/// The features of one branch for some images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BranchFeatures {
    /// The number of features of an image.
    pub width: usize,
    /// `[n, width]`, row-major. The row of an image that the branch has no features of is zero.
    pub values: Vec<f32>,
    /// `[n]`: whether the branch has features of the image. A picture that is too small for a branch has none.
    pub present: Vec<bool>,
}

impl BranchFeatures {
    /// An empty list of images.
    pub fn new(width: usize) -> BranchFeatures {
        BranchFeatures { width, values: Vec::new(), present: Vec::new() }
    }

    /// Appends an image. Panics if `features` has another length than `width`.
    pub fn push(&mut self, features: Option<&[f32]>) {
        match features {
            Some(features) => {
                assert_eq!(features.len(), self.width, "a row of features");
                self.values.extend_from_slice(features);
            }
            None => self.values.resize(self.values.len() + self.width, 0.0),
        }
        self.present.push(features.is_some());
    }

    /// Appends the images of another list of the same width.
    pub fn append(&mut self, other: &BranchFeatures) {
        self.values.extend_from_slice(&other.values);
        self.present.extend_from_slice(&other.present);
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.present.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    /// The features of image `i`, if the branch has any. Panics if `i` is out of range.
    pub fn row(&self, i: usize) -> Option<&[f32]> {
        self.present[i].then(|| &self.values[i * self.width..(i + 1) * self.width])
    }
}

/// The features of all branches for some images, in the order of the configured branches. All branches have the same
/// number of images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureBatch {
    /// One entry for each branch.
    pub branches: Vec<BranchFeatures>,
}

impl FeatureBatch {
    /// An empty list of images for branches of these widths.
    pub fn new(widths: &[usize]) -> FeatureBatch {
        FeatureBatch { branches: widths.iter().map(|&width| BranchFeatures::new(width)).collect() }
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.branches.first().map_or(0, BranchFeatures::len)
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the images of another batch of the same branches.
    pub fn append(&mut self, other: &FeatureBatch) {
        for (to, from) in self.branches.iter_mut().zip(&other.branches) {
            to.append(from);
        }
    }

    /// The number of features of each branch.
    pub fn widths(&self) -> Vec<usize> {
        self.branches.iter().map(|branch| branch.width).collect()
    }

    /// Appends image `row` of another batch of the same branches. Panics if there is no such image.
    pub fn push_row(&mut self, from: &FeatureBatch, row: usize) {
        for (to, from) in self.branches.iter_mut().zip(&from.branches) {
            to.push(from.row(row));
        }
    }

    /// Removes all images, and keeps the memory.
    pub fn clear(&mut self) {
        for branch in &mut self.branches {
            branch.values.clear();
            branch.present.clear();
        }
    }
}

/// The logits of some images: the margin `logit_fake - logit_real` of the fused detector and of each branch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Margins {
    /// `[n]`: the fused margin.
    pub fused: Vec<f32>,
    /// For each branch `[n]`: its own margin, or `None` if it has no features of the image.
    pub branches: Vec<Vec<Option<f32>>>,
}

/// Returns the weighted mean of the margins that are there, from pairs of weight and margin. It is 0 without any margin.
pub fn weighted_mean(margins: impl IntoIterator<Item = (f64, Option<f32>)>) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for (weight, margin) in margins {
        if let Some(margin) = margin {
            sum += weight * f64::from(margin);
            total += weight;
        }
    }
    if total > 0.0 { sum / total } else { 0.0 }
}
