//! The description of the JSON API.

use serde_json::Value;

/// Returns the description in the form of OpenAPI 3.1.
pub fn document() -> Value {
    let mut document: Value = serde_json::from_str(include_str!("../assets/openapi.json")).unwrap_or_default();
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    document
}
