//! The oldest supported driver, cuDNN and card, and the choice of a card's precision.

use super::capability::{Capability, OLDEST, OLDEST_WITH_BF16};
use super::error::{Error, Result};
use crate::precision::Precision;

/// CUDA 13.0, the version of the bindings, in the form of `cuDriverGetVersion`.
const OLDEST_DRIVER: i32 = 13_000;
/// cuDNN 9, in the form of `cudnnGetVersion`. cuDNN 8 has other status codes.
const OLDEST_CUDNN: usize = 90_000;

/// Checks that the driver is not older than the bindings. `version` comes from `cuDriverGetVersion`.
pub(crate) fn check_driver(version: i32) -> Result<()> {
    if version >= OLDEST_DRIVER {
        return Ok(());
    }
    Err(Error::DriverTooOld { major: version / 1000, minor: version % 1000 / 10 })
}

/// Checks that cuDNN is not older than version 9. `version` comes from `cudnnGetVersion`.
pub(crate) fn check_cudnn(version: usize) -> Result<()> {
    if version >= OLDEST_CUDNN {
        return Ok(());
    }
    Err(Error::CudnnTooOld(format_cudnn_version(version)))
}

/// Formats a version from `cudnnGetVersion`, as in "9.15.1".
pub(crate) fn format_cudnn_version(version: usize) -> String {
    // Up to version 8, the number is major * 1000 + minor * 100 + patch.
    let per_major = if version >= OLDEST_CUDNN { 10_000 } else { 1000 };
    format!("{}.{}.{}", version / per_major, version % per_major / 100, version % 100)
}

/// Returns the precision to compute in: `requested`, or else bf16 if the card has bf16 tensor cores, or else f32.
///
/// # Errors
/// The card is too old for the compiled kernels, or bf16 was requested and the card has no bf16 tensor cores.
pub(crate) fn select_precision(card: &str, capability: Capability, requested: Option<Precision>) -> Result<Precision> {
    let card = || card.to_owned();
    if capability < OLDEST {
        return Err(Error::CardTooOld { card: card(), capability });
    }
    let best = if capability >= OLDEST_WITH_BF16 { Precision::Bf16 } else { Precision::F32 };
    match requested {
        Some(Precision::Bf16) if best != Precision::Bf16 => Err(Error::Bf16Unsupported { card: card(), capability }),
        other => Ok(other.unwrap_or(best)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_old_driver_and_cudnn_with_their_versions() {
        assert!(check_driver(13_000).is_ok() && check_driver(13_020).is_ok());
        let error = check_driver(12_040).unwrap_err().to_string();
        assert!(error.contains("580") && error.contains("CUDA 12.4"), "{error}");
        assert!(check_cudnn(90_000).is_ok() && check_cudnn(91_002).is_ok());
        assert_eq!(format_cudnn_version(91_501), "9.15.1");
        let error = check_cudnn(8_907).unwrap_err().to_string();
        assert!(error.contains("cuDNN 9") && error.contains("8.9.7"), "{error}");
    }

    #[test]
    fn rejects_cards_older_than_the_kernels_by_name() {
        let error = select_precision("Tesla V100", (7, 0), None).unwrap_err().to_string();
        assert!(error.contains("Tesla V100") && error.contains("7.0") && error.contains("7.5"), "{error}");
        assert!(select_precision("GTX 1080", (6, 1), Some(Precision::F32)).is_err());
    }

    #[test]
    fn selects_bf16_only_with_bf16_tensor_cores() {
        assert_eq!(select_precision("T4", (7, 5), None).unwrap(), Precision::F32);
        assert_eq!(select_precision("T4", (7, 5), Some(Precision::F32)).unwrap(), Precision::F32);
        assert_eq!(select_precision("A100", (8, 0), None).unwrap(), Precision::Bf16);
        assert_eq!(select_precision("H200", (9, 0), Some(Precision::Tf32)).unwrap(), Precision::Tf32);
        let error = select_precision("T4", (7, 5), Some(Precision::Bf16)).unwrap_err().to_string();
        assert!(error.contains("T4") && error.contains("train.precision") && error.contains("f32"), "{error}");
        assert!(error.contains("evaluate.precision"), "{error}");
    }
}
