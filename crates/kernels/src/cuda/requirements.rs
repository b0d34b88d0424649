//! What the driver, cuDNN and a card must be for the back end to compute on them.

use super::capability::{Capability, OLDEST, OLDEST_WITH_BF16};
use super::error::{Error, Result};
use crate::precision::Precision;

/// CUDA 13.0, whose driver the bindings are of, as `cuDriverGetVersion` counts.
const OLDEST_DRIVER: i32 = 13_000;
/// cuDNN 9, as `cudnnGetVersion` counts. Its predecessor has other numbers for what can go wrong.
const OLDEST_CUDNN: usize = 90_000;

/// Fails for a driver that is older than the bindings; `version` is what `cuDriverGetVersion` says.
pub(crate) fn check_driver(version: i32) -> Result<()> {
    if version >= OLDEST_DRIVER {
        return Ok(());
    }
    Err(Error::OldDriver { major: version / 1000, minor: version % 1000 / 10 })
}

/// Fails for a cuDNN before 9; `version` is what `cudnnGetVersion` says.
pub(crate) fn check_cudnn(version: usize) -> Result<()> {
    if version >= OLDEST_CUDNN {
        return Ok(());
    }
    Err(Error::OldCudnn(shown_cudnn(version)))
}

/// A version of cuDNN for people: "9.15.1".
pub(crate) fn shown_cudnn(version: usize) -> String {
    // Until 8 the major version was worth a thousand.
    let major = if version >= OLDEST_CUDNN { 10_000 } else { 1000 };
    format!("{}.{}.{}", version / major, version % major / 100, version % 100)
}

/// What to compute in on a card: `asked`, else bf16 where the card multiplies that.
///
/// # Errors
/// The card has no kernels of ours, or does not multiply what was asked for.
pub(crate) fn precision(card: &str, capability: Capability, asked: Option<Precision>) -> Result<Precision> {
    let named = || (card.to_owned(), capability);
    if capability < OLDEST {
        let (card, capability) = named();
        return Err(Error::OldCard { card, capability });
    }
    let best = if capability >= OLDEST_WITH_BF16 { Precision::Bf16 } else { Precision::F32 };
    match asked {
        Some(Precision::Bf16) if best != Precision::Bf16 => {
            let (card, capability) = named();
            Err(Error::NoBf16 { card, capability })
        }
        other => Ok(other.unwrap_or(best)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_driver_or_cudnn_is_refused_with_its_version() {
        assert!(check_driver(13_000).is_ok() && check_driver(13_020).is_ok());
        let error = check_driver(12_040).unwrap_err().to_string();
        assert!(error.contains("580") && error.contains("CUDA 12.4"), "{error}");
        assert!(check_cudnn(90_000).is_ok() && check_cudnn(91_002).is_ok());
        assert_eq!(shown_cudnn(91_501), "9.15.1");
        let error = check_cudnn(8_907).unwrap_err().to_string();
        assert!(error.contains("cuDNN 9") && error.contains("8.9.7"), "{error}");
    }

    #[test]
    fn cards_without_kernels_are_refused_by_name() {
        let error = precision("Tesla V100", (7, 0), None).unwrap_err().to_string();
        assert!(error.contains("Tesla V100") && error.contains("7.0") && error.contains("7.5"), "{error}");
        assert!(precision("GTX 1080", (6, 1), Some(Precision::F32)).is_err());
    }

    #[test]
    fn bf16_is_for_cards_that_multiply_it() {
        assert_eq!(precision("T4", (7, 5), None).unwrap(), Precision::F32);
        assert_eq!(precision("T4", (7, 5), Some(Precision::F32)).unwrap(), Precision::F32);
        assert_eq!(precision("A100", (8, 0), None).unwrap(), Precision::Bf16);
        assert_eq!(precision("H200", (9, 0), Some(Precision::Tf32)).unwrap(), Precision::Tf32);
        let error = precision("T4", (7, 5), Some(Precision::Bf16)).unwrap_err().to_string();
        assert!(error.contains("T4") && error.contains("train.precision") && error.contains("f32"), "{error}");
        assert!(error.contains("evaluate.precision"), "{error}");
    }
}
