//! The version of the TOML files of benchmarks.

/// Checks the key `schema_version` of a file.
///
/// # Errors
/// It is not the version `supported`.
pub(super) fn check(found: u32, supported: u32) -> Result<(), String> {
    if found == supported {
        return Ok(());
    }
    Err(format!("schema_version is {found}, but this build reads {supported}"))
}
