//! The list of features as it is computed.

/// Values, and their names if they are wanted. One sequence of calls makes both, so that they cannot differ.
pub(super) struct Features {
    pub(super) values: Vec<f32>,
    pub(super) names: Vec<String>,
    named: bool,
}

impl Features {
    pub(super) fn without_names() -> Features {
        Features { values: Vec::with_capacity(512), names: Vec::new(), named: false }
    }

    pub(super) fn with_names() -> Features {
        Features { named: true, ..Features::without_names() }
    }

    /// Appends a feature.
    pub(super) fn push(&mut self, value: f32, name: impl FnOnce() -> String) {
        self.values.push(value);
        if self.named {
            self.names.push(name());
        }
    }

    /// Appends a feature that was computed in double precision.
    pub(super) fn push_f64(&mut self, value: f64, name: impl FnOnce() -> String) {
        self.push(value as f32, name);
    }
}
