//! The configuration of a network.

use crate::architecture::{Architecture, ArchitectureError};
use crate::batch::Normalisation;

/// The configuration of a network: everything but its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkConfig {
    /// The name of an architecture: `resnet18`, `resnet34`, `resnet50` or `resnet101`.
    pub arch: String,
    /// Classes of the head, from 2 to 256.
    pub classes: usize,
    /// Normalisation of the pixels before the first layer.
    pub normalisation: Normalisation,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self { arch: "resnet50".to_owned(), classes: 2, normalisation: Normalisation::default() }
    }
}

impl NetworkConfig {
    /// Returns the architecture called `arch`.
    pub(crate) fn architecture(&self) -> Result<Architecture, ArchitectureError> {
        Architecture::by_name(&self.arch)
    }

    /// Checks the number of classes, that `mean` and `std` are finite, and that `std` is positive.
    pub(crate) fn check(&self) -> Result<(), ArchitectureError> {
        if !(2..=256).contains(&self.classes) {
            return Err(ArchitectureError::Classes(self.classes));
        }
        let Normalisation { mean, std } = &self.normalisation;
        let valid = mean.iter().all(|mean| mean.is_finite()) && std.iter().all(|std| std.is_finite() && *std > 0.0);
        if valid { Ok(()) } else { Err(ArchitectureError::Normalisation(self.normalisation)) }
    }
}
