//! The constants of batch normalisation, as torchvision's ResNets use them.

/// Added to the variance.
pub const EPSILON: f64 = 1e-5;
/// Weight of the new batch in the running statistics.
pub const MOMENTUM: f64 = 0.1;
