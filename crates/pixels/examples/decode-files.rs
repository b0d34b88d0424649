//! Decodes image files for `tests/peers/pillow_pixels.py`.
//!
//! Reads paths from standard input, one per line. Writes a line of JSON for each: `{"width", "height", "format",
//! "warning"}`, followed by the pixels `[height, width, 3]`; or `{"kind", "error"}`.

use std::io::{BufRead, Write};
use std::path::Path;

use pixels::{Limits, decode, file};
use serde_json::json;

fn main() -> std::io::Result<()> {
    let limits = Limits::default();
    let mut output = std::io::stdout().lock();
    for path in std::io::stdin().lock().lines() {
        let bytes = match file::read(Path::new(&path?), limits.max_file_bytes()) {
            Ok(bytes) => bytes,
            Err(error) => {
                writeln!(output, "{}", json!({ "kind": "unreadable", "error": error.to_string() }))?;
                continue;
            }
        };
        match decode(&bytes, &limits) {
            Ok(decoded) => {
                let header = json!({
                    "width": decoded.rgb.width(),
                    "height": decoded.rgb.height(),
                    "format": decoded.format.name(),
                    "warning": decoded.warning.map(|warning| warning.to_string()),
                });
                writeln!(output, "{header}")?;
                output.write_all(decoded.rgb.data())?;
            }
            Err(error) => writeln!(output, "{}", json!({ "kind": error.kind(), "error": error.to_string() }))?,
        }
        output.flush()?;
    }
    Ok(())
}
