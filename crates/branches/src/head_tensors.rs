//! The parameters of a branch's head, for writing it in the format of another program.

/// From the features `x` of a part to its margin: `weight · factor (k(u) - centre) + bias`, where `u` is
/// `(x - mean) scale`.
#[derive(Clone, Debug)]
pub struct HeadTensors {
    /// `[features]`.
    pub mean: Vec<f32>,
    /// `[features]`.
    pub scale: Vec<f32>,
    /// Whether `u` is scaled to length 1.
    pub has_unit_vectors: bool,
    /// `gamma`, and the anchors, `[features, anchors]`: `k(u)` is `exp(-gamma |u - anchor|²)` for each anchor, whose length
    /// is 1. Without a kernel, `k(u)` is `u`.
    pub kernel: Option<(f32, Vec<f32>)>,
    /// `[anchors]`, or `[features]` without a kernel.
    pub centre: Vec<f32>,
    /// The factor after centring.
    pub factor: f32,
    /// As long as `centre`.
    pub weight: Vec<f32>,
    /// Added to the margin.
    pub bias: f32,
}
