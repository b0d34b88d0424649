//! McNemar's test of two accuracies on the same images.

use artifacts::schema::McNemar;

use super::normal::two_sided_p;

/// Computes McNemar's test (McNemar 1947, Psychometrika 12) from the numbers of images that only the first or only the
/// second detector classifies correctly.
///
/// `p` is 1 if both numbers are 0. `chi_square` is (|only_first - only_second| - 1)^2 / (only_first + only_second),
/// with Edwards' continuity correction; it is 0 if the numbers differ by at most 1. `p_holm` is `p`, as for a single
/// test.
pub fn mcnemar(only_first: u64, only_second: u64) -> McNemar {
    let n = only_first + only_second;
    let difference = only_first.abs_diff(only_second);
    let p = exact_p(only_first.min(only_second), n);
    let chi_square = if difference > 1 { ((difference - 1) as f64).powi(2) / n as f64 } else { 0.0 };
    McNemar {
        only_first,
        only_second,
        p,
        p_holm: p,
        chi_square,
        // The chi-square distribution with one degree of freedom is that of a squared standard normal variable.
        chi_square_p: two_sided_p(chi_square.sqrt()),
    }
}

/// min(1, 2 P(X <= fewer)) for X binomial with `n` trials and probability 1/2.
fn exact_p(fewer: u64, n: u64) -> f64 {
    if 2 * fewer >= n {
        return 1.0;
    }
    // Sums the terms from the largest one, C(n, fewer) / 2^n, downwards. Each is k / (n - k + 1) times the previous
    // one.
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in (1..=fewer).rev() {
        term *= k as f64 / (n - k + 1) as f64;
        sum += term;
        if term < sum * 1e-18 {
            break;
        }
    }
    (2.0 * (ln_half_binomial(fewer, n) + f64::ln(sum)).exp()).min(1.0)
}

/// ln of the binomial probability C(n, k) / 2^n, by the saddle-point expansion of Loader 2000 ("Fast and accurate
/// computation of binomial probabilities"). Its relative precision holds for large `n`, where sums of log-factorials
/// lose theirs.
fn ln_half_binomial(k: u64, n: u64) -> f64 {
    let size = n as f64;
    if k == 0 || k == n {
        return -size * std::f64::consts::LN_2;
    }
    let (hits, misses) = (k as f64, (n - k) as f64);
    stirling_error(n)
        - stirling_error(k)
        - stirling_error(n - k)
        - deviance(hits, 0.5 * size)
        - deviance(misses, 0.5 * size)
        - 0.5 * (std::f64::consts::TAU * hits * (misses / size)).ln()
}

/// ln(n!) - ln(sqrt(2 pi n) (n / e)^n).
fn stirling_error(n: u64) -> f64 {
    let x = n as f64;
    if n < 16 {
        let ln_factorial: f64 = (2..=n).map(|k| (k as f64).ln()).sum();
        return ln_factorial - (0.5 * (std::f64::consts::TAU * x).ln() + x * (x.ln() - 1.0));
    }
    let squared = x * x;
    (1.0 / 12.0
        - (1.0 / 360.0 - (1.0 / 1260.0 - (1.0 / 1680.0 - 1.0 / 1188.0 / squared) / squared) / squared) / squared)
        / x
}

/// x ln(x / mean) + mean - x, computed without cancellation for x near the mean.
fn deviance(x: f64, mean: f64) -> f64 {
    if (x - mean).abs() >= 0.1 * (x + mean) {
        return x * (x / mean).ln() + mean - x;
    }
    let v = (x - mean) / (x + mean);
    let mut sum = (x - mean) * v;
    let mut power = 2.0 * x * v;
    for j in 1..1000 {
        power *= v * v;
        let next = sum + power / f64::from(2 * j + 1);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}
