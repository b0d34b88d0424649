//! The standard normal distribution.

/// The 97.5% quantile: the half width of a 95% interval in standard errors.
pub(super) const QUANTILE_975: f64 = 1.959_963_984_540_054;

/// The two-sided p-value of a standard normal statistic.
pub(super) fn two_sided_p(z: f64) -> f64 {
    libm::erfc(z.abs() / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_value_at_quantile_is_5_percent() {
        assert!((two_sided_p(QUANTILE_975) - 0.05).abs() < 1e-15);
        assert_eq!(two_sided_p(-QUANTILE_975), two_sided_p(QUANTILE_975));
        assert_eq!(two_sided_p(0.0), 1.0);
    }
}
