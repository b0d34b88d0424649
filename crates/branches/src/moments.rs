//! Means and deviations of features, by which they are standardised.

/// A feature with a smaller deviation is constant, and becomes 0.
const MIN_DEVIATION: f64 = 1e-6;

/// Mean and deviation over rows that arrive one by one, with Welford's method in f64.
#[derive(Debug)]
pub(crate) struct Moments {
    rows: u64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    /// Starts without rows of `width` features.
    pub(crate) fn new(width: usize) -> Moments {
        Moments { rows: 0, mean: vec![0.0; width], squares: vec![0.0; width] }
    }

    /// Adds a row.
    pub(crate) fn add(&mut self, row: &[f32]) {
        self.rows += 1;
        let n = self.rows as f64;
        for ((&value, mean), squares) in row.iter().zip(&mut self.mean).zip(&mut self.squares) {
            let difference = f64::from(value) - *mean;
            *mean += difference / n;
            *squares += difference * (f64::from(value) - *mean);
        }
    }

    /// Returns the means and the inverse deviations. The inverse deviation of a constant feature is 0.
    pub(crate) fn finish(self) -> (Vec<f32>, Vec<f32>) {
        let rows = self.rows.max(1) as f64;
        let scale = |squares: &f64| {
            let deviation = (squares / rows).sqrt();
            if deviation > MIN_DEVIATION { (1.0 / deviation) as f32 } else { 0.0 }
        };
        (self.mean.iter().map(|&mean| mean as f32).collect(), self.squares.iter().map(scale).collect())
    }
}
