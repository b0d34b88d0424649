//! The projection of a branch's features onto training images, which a linear head then reads.
//!
//! 1. Standardise each feature with its mean and deviation over training images.
//! 2. Scale each image's vector to length 1.
//! 3. Compare it with training images, the anchors: `exp(-gamma |x - a|²)`, the Gaussian kernel. Without anchors, the
//!    vector itself is the result.
//! 4. Subtract the mean over the training images, and scale so that the mean squared length is [`SQUARED_LENGTH`].
//!
//! A linear head on the result is a kernel logistic regression (Zhu and Hastie 2005, Journal of Computational and
//! Graphical Statistics 14).

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use crate::batch::BranchFeatures;
use crate::error::{Error, Result};
use crate::head_tensors::HeadTensors;
use crate::moments::Moments;

/// The mean squared length of the projected training images.
const SQUARED_LENGTH: f64 = 512.0;
/// The number of rows that are projected at once.
const ROWS: usize = 256;

/// The projection of one branch.
#[derive(Clone, Debug)]
pub struct Projection {
    /// The number of parts of an image: the whole image and its centre, for example. Each part has its own features.
    parts: usize,
    mean: Vec<f32>,
    /// The inverse deviation.
    scale: Vec<f32>,
    kernel: Option<Kernel>,
    /// The mean of the projected training images.
    centre: Vec<f32>,
    /// The factor after centring.
    factor: f32,
}

/// The anchors of a projection.
#[derive(Clone, Debug)]
struct Kernel {
    gamma: f32,
    /// Unit vectors, `[width, anchors]`.
    anchors: Tensor,
}

impl Projection {
    /// Fits a projection to training images. `features` has `parts` vectors per image; `gamma` is the kernel's, and
    /// `None` gives a projection without anchors. The anchors are the last parts of the images `anchors`.
    ///
    /// # Errors
    /// Memory cannot be allocated.
    pub fn fit(features: &BranchFeatures, parts: usize, gamma: Option<f32>, anchors: &[usize]) -> Result<Projection> {
        let width = features.width / parts;
        let mut moments = Moments::new(width);
        for part in (0..features.len()).filter_map(|row| last_part(features, row, width)) {
            moments.add(part);
        }
        let (mean, scale) = moments.finish();
        let mut projection = Projection { parts, mean, scale, kernel: None, centre: Vec::new(), factor: 1.0 };
        if let Some(gamma) = gamma {
            let mut unit = Vec::new();
            for part in anchors.iter().filter_map(|&row| last_part(features, row, width)) {
                unit.extend(projection.unit_vector(part));
            }
            let anchors = unit.len() / width.max(1);
            if anchors > 0 {
                let anchors = Tensor::from_vec(unit, (anchors, width), &Device::Cpu)?.t()?.contiguous()?;
                projection.kernel = Some(Kernel { gamma, anchors });
            }
        }
        projection.centre = vec![0.0; projection.width_of_part(width)];
        let mut sums = vec![0.0_f64; projection.centre.len()];
        let (mut squares, mut count) = (0.0_f64, 0_usize);
        projection.for_each_part(features, |projected| {
            count += 1;
            for (sum, &value) in sums.iter_mut().zip(projected) {
                *sum += f64::from(value);
                squares += f64::from(value) * f64::from(value);
            }
        })?;
        if count > 0 {
            let n = count as f64;
            projection.centre = sums.iter().map(|sum| (sum / n) as f32).collect();
            let of_mean: f64 = sums.iter().map(|sum| (sum / n).powi(2)).sum();
            let spread = squares / n - of_mean;
            projection.factor = if spread > 0.0 { (SQUARED_LENGTH / spread).sqrt() as f32 } else { 1.0 };
        }
        Ok(projection)
    }

    /// The number of parts of an image.
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// The number of features of an image before the projection.
    pub fn inputs(&self) -> usize {
        self.parts * self.mean.len()
    }

    /// The number of values of one part after the projection.
    pub fn outputs_of_part(&self) -> usize {
        self.centre.len()
    }

    /// Projects the features of some images. Images without features keep having none.
    ///
    /// # Errors
    /// The features have another width.
    pub fn apply(&self, features: &BranchFeatures) -> Result<BranchFeatures> {
        if features.width != self.inputs() {
            let detail = format!("there are {} features instead of {}", features.width, self.inputs());
            return Err(Error::Features(detail));
        }
        let width = self.parts * self.outputs_of_part();
        let mut values = Vec::with_capacity(features.present.iter().filter(|present| **present).count() * width);
        self.for_each_part(features, |projected| {
            values.extend(projected.iter().zip(&self.centre).map(|(value, mean)| (value - mean) * self.factor));
        })?;
        let mut projected = BranchFeatures::new(width);
        let mut rows = values.chunks_exact(width.max(1));
        for &present in &features.present {
            projected.push(if present { rows.next() } else { None });
        }
        Ok(projected)
    }

    /// The projection and a linear head on it, in a form for other programs.
    ///
    /// # Errors
    /// Memory cannot be allocated.
    pub(crate) fn with_head(&self, weight: Vec<f32>, bias: f32) -> Result<HeadTensors> {
        let kernel = |kernel: &Kernel| Ok::<_, Error>((kernel.gamma, kernel.anchors.flatten_all()?.to_vec1()?));
        Ok(HeadTensors {
            mean: self.mean.clone(),
            scale: self.scale.clone(),
            has_unit_vectors: true,
            kernel: self.kernel.as_ref().map(kernel).transpose()?,
            centre: self.centre.clone(),
            factor: self.factor,
            weight,
            bias,
        })
    }

    /// The mean of each feature of a part over the training images.
    pub(crate) fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// Returns the gradient of `weight · x` with respect to the features of one part, whose projection is `x`.
    ///
    /// # Errors
    /// Memory cannot be allocated.
    pub(crate) fn gradient(&self, part: &[f32], weight: &[f32]) -> Result<Vec<f32>> {
        let standardised = part.iter().zip(&self.mean).zip(&self.scale);
        let squares = standardised.map(|((value, mean), scale)| f64::from((value - mean) * scale).powi(2));
        let length = squares.sum::<f64>().sqrt();
        if length == 0.0 {
            return Ok(vec![0.0; part.len()]);
        }
        let unit = self.unit_vector(part);
        // With respect to the unit vector.
        let mut gradient: Vec<f32> = match &self.kernel {
            None => weight.to_vec(),
            Some(Kernel { gamma, anchors }) => {
                let unit = Tensor::from_slice(&unit, (1, unit.len()), &Device::Cpu)?;
                let products = unit.matmul(anchors)?.flatten_all()?.to_vec1::<f32>()?;
                let of_kernel = |product: &f32| 2.0 * gamma * (-gamma * (2.0 - 2.0 * product)).exp();
                let factors: Vec<f32> =
                    products.iter().zip(weight).map(|(product, w)| w * of_kernel(product)).collect();
                let factors = Tensor::from_vec(factors, (products.len(), 1), &Device::Cpu)?;
                anchors.matmul(&factors)?.flatten_all()?.to_vec1()?
            }
        };
        // The part along the unit vector changes nothing: the length is always 1.
        let along: f64 = unit.iter().zip(&gradient).map(|(u, g)| f64::from(*u) * f64::from(*g)).sum();
        for ((gradient, unit), scale) in gradient.iter_mut().zip(&unit).zip(&self.scale) {
            let across = f64::from(*gradient) - along * f64::from(*unit);
            *gradient = (f64::from(self.factor) * across / length) as f32 * scale;
        }
        Ok(gradient)
    }

    fn width_of_part(&self, width: usize) -> usize {
        self.kernel.as_ref().map_or(width, |kernel| kernel.anchors.dims()[1])
    }

    /// Standardises a vector and scales it to length 1.
    fn unit_vector(&self, part: &[f32]) -> Vec<f32> {
        let standardised = part.iter().zip(&self.mean).zip(&self.scale);
        let mut vector: Vec<f32> = standardised.map(|((value, mean), scale)| (value - mean) * scale).collect();
        let length = vector.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt();
        let factor = if length > 0.0 { (1.0 / length) as f32 } else { 0.0 };
        vector.iter_mut().for_each(|value| *value *= factor);
        vector
    }

    /// Calls `visit` with the values of each part of each image that has features, in order, before centring.
    fn for_each_part(&self, features: &BranchFeatures, mut visit: impl FnMut(&[f32])) -> Result<()> {
        let width = self.mean.len();
        let present: Vec<usize> = (0..features.len()).filter(|&row| features.present[row]).collect();
        for rows in present.chunks(ROWS) {
            let mut vectors = Vec::with_capacity(rows.len() * features.width);
            for part in rows.iter().filter_map(|&row| features.row(row)).flat_map(|row| row.chunks_exact(width.max(1)))
            {
                vectors.extend(self.unit_vector(part));
            }
            let Some(Kernel { gamma, anchors }) = &self.kernel else {
                vectors.chunks_exact(width.max(1)).for_each(&mut visit);
                continue;
            };
            let vectors = Tensor::from_vec(vectors, (rows.len() * self.parts, width), &Device::Cpu)?;
            // |x - a|² = 2 - 2 x·a for unit vectors.
            let products = vectors.matmul(anchors)?.flatten_all()?.to_vec1::<f32>()?;
            let values: Vec<f32> = products.iter().map(|product| (-gamma * (2.0 - 2.0 * product)).exp()).collect();
            values.chunks_exact(anchors.dims()[1]).for_each(&mut visit);
        }
        Ok(())
    }

    /// Adds the tensors of the projection under names that begin with `prefix`.
    pub(crate) fn write(&self, prefix: &str, tensors: &mut BTreeMap<String, Tensor>) -> Result<()> {
        let mut add = |name: &str, tensor: Tensor| tensors.insert(format!("{prefix}.{name}"), tensor);
        for (name, values) in [("mean", &self.mean), ("scale", &self.scale), ("centre", &self.centre)] {
            add(name, Tensor::from_vec(values.clone(), values.len(), &Device::Cpu)?);
        }
        let gamma = self.kernel.as_ref().map_or(0.0, |kernel| kernel.gamma);
        add("settings", Tensor::new(&[self.parts as f32, self.factor, gamma], &Device::Cpu)?);
        if let Some(Kernel { anchors, .. }) = &self.kernel {
            add("anchors", anchors.clone());
        }
        Ok(())
    }

    /// Reads the tensors that [`Projection::write`] added.
    pub(crate) fn read(prefix: &str, tensors: &BTreeMap<String, Tensor>) -> Result<Projection> {
        let bad = |detail: String| Error::OptimiserState(detail);
        let find = |name: &str| {
            let name = format!("{prefix}.{name}");
            tensors.get(&name).ok_or_else(|| bad(format!("{name} is missing")))
        };
        let vector = |name: &str| -> Result<Vec<f32>> { Ok(find(name)?.to_vec1()?) };
        let (mean, scale, centre) = (vector("mean")?, vector("scale")?, vector("centre")?);
        let &[parts, factor, gamma] = vector("settings")?.as_slice() else {
            return Err(bad(format!("{prefix}.settings does not have 3 values")));
        };
        let kernel = if gamma > 0.0 { Some(Kernel { gamma, anchors: find("anchors")?.clone() }) } else { None };
        let outputs = kernel.as_ref().map_or(mean.len(), |kernel| kernel.anchors.dims().last().copied().unwrap_or(0));
        let inputs = kernel.as_ref().map_or(mean.len(), |kernel| kernel.anchors.dims()[0]);
        if mean.len() != scale.len()
            || inputs != mean.len()
            || outputs != centre.len()
            || !(1.0..=16.0).contains(&parts)
        {
            return Err(bad(format!("the tensors {prefix}.* do not fit together")));
        }
        Ok(Projection { parts: parts as usize, mean, scale, kernel, centre, factor })
    }
}

/// The features of the last part of image `row`, if it has any.
fn last_part(features: &BranchFeatures, row: usize, width: usize) -> Option<&[f32]> {
    features.row(row).and_then(|row| row.get(row.len() - width..))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six images with two parts of three features; the third feature is constant, and one image has no features.
    fn features() -> BranchFeatures {
        let mut features = BranchFeatures::new(6);
        for i in 0..6 {
            let x = i as f32;
            let row = [x.sin(), x, 5.0, (2.0 * x).cos(), x * x, 5.0];
            features.push((i != 4).then_some(&row[..]));
        }
        features
    }

    #[test]
    fn equals_definition_of_gaussian_kernel() {
        let features = features();
        let projection = Projection::fit(&features, 2, Some(0.7), &[0, 1, 2, 3, 4, 5]).unwrap();
        assert_eq!((projection.inputs(), projection.outputs_of_part()), (6, 5));
        let projected = projection.apply(&features).unwrap();
        assert_eq!(projected.present, features.present);
        let unit =
            |row: usize, part: usize| projection.unit_vector(&features.row(row).unwrap()[part * 3..part * 3 + 3]);
        for row in [0, 3] {
            for part in 0..2 {
                let x = unit(row, part);
                assert!((x.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5 && x[2] == 0.0);
                for (anchor, of) in [0, 1, 2, 3, 5].into_iter().enumerate() {
                    let distance: f32 = x.iter().zip(unit(of, 1)).map(|(a, b)| (a - b).powi(2)).sum();
                    let expected = ((-0.7 * distance).exp() - projection.centre[anchor]) * projection.factor;
                    let found = projected.row(row).unwrap()[part * 5 + anchor];
                    assert!((found - expected).abs() < 1e-3 * expected.abs().max(1.0), "{found} {expected}");
                }
            }
        }
    }

    #[test]
    fn gradient_equals_finite_difference() {
        for gamma in [None, Some(0.7)] {
            let features = features();
            let projection = Projection::fit(&features, 2, gamma, &[0, 1, 2, 5]).unwrap();
            let weight: Vec<f32> = (0..projection.outputs_of_part()).map(|i| 0.3 - 0.4 * i as f32).collect();
            let margin = |part: &[f32]| -> f32 {
                let mut both = BranchFeatures::new(6);
                both.push(Some(&[part, part].concat()));
                let projected = projection.apply(&both).unwrap();
                projected.row(0).unwrap().iter().zip(&weight).map(|(x, w)| x * w).sum()
            };
            let part = &features.row(3).unwrap()[..3];
            let gradient = projection.gradient(part, &weight).unwrap();
            for index in 0..3 {
                let step = 1e-2;
                let moved = |by: f32| {
                    let mut moved = part.to_vec();
                    moved[index] += by;
                    margin(&moved)
                };
                let expected = (moved(step) - moved(-step)) / (2.0 * step);
                let found = gradient[index];
                assert!((found - expected).abs() < 2e-2 * expected.abs().max(0.1), "{index}: {found} {expected}");
            }
        }
    }

    #[test]
    fn training_images_have_mean_zero_and_stated_length() {
        for gamma in [None, Some(1.5)] {
            let features = features();
            let projected = Projection::fit(&features, 2, gamma, &[0, 2, 5]).unwrap().apply(&features).unwrap();
            let parts: Vec<&[f32]> = (0..6)
                .filter_map(|row| projected.row(row))
                .flat_map(|row| row.chunks_exact(projected.width / 2))
                .collect();
            for column in 0..projected.width / 2 {
                let mean: f32 = parts.iter().map(|part| part[column]).sum::<f32>() / parts.len() as f32;
                assert!(mean.abs() < 1e-3, "{mean}");
            }
            let length: f32 =
                parts.iter().flat_map(|part| part.iter()).map(|v| v * v).sum::<f32>() / parts.len() as f32;
            assert!((length - SQUARED_LENGTH as f32).abs() < 0.5, "{length}");
        }
    }

    #[test]
    fn round_trips_through_tensors_and_rejects_what_does_not_fit() {
        let features = features();
        let projection = Projection::fit(&features, 2, Some(1.0), &[0, 1]).unwrap();
        let mut tensors = BTreeMap::new();
        projection.write("vit", &mut tensors).unwrap();
        let read = Projection::read("vit", &tensors).unwrap();
        assert_eq!(read.apply(&features).unwrap(), projection.apply(&features).unwrap());
        assert!(projection.apply(&BranchFeatures::new(5)).is_err());
        tensors.insert("vit.centre".to_owned(), Tensor::new(&[1.0_f32], &Device::Cpu).unwrap());
        assert!(Projection::read("vit", &tensors).is_err());
        tensors.remove("vit.anchors");
        assert!(Projection::read("vit", &tensors).unwrap_err().to_string().contains("vit.anchors"));
    }
}
