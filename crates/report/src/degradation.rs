//! Names of the degradations of the robustness measurement, as readers see them.

use artifacts::schema::RobustnessCurve;

use crate::escape::visible;
use crate::format_number::compact;

/// Returns the name of an operation, such as "social media".
pub(crate) fn operation_name(operation: &str) -> String {
    match operation {
        "jpeg" => "JPEG".to_owned(),
        "webp" => "WebP".to_owned(),
        other => visible(other).replace('_', " "),
    }
}

/// Returns an operation with its level, such as "JPEG (quality: 60)".
pub(crate) fn operation_at_level(curve: &RobustnessCurve, level: f64) -> String {
    format!("{} ({}: {})", operation_name(&curve.operation), visible(&curve.unit), compact(level, 2))
}
