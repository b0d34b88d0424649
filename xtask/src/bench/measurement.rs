//! Parses the output of measured programs: one JSON object per line.

use serde::Deserialize;
use serde_json::Value;

/// One measured value.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Measurement {
    /// The name of the value, if the program prints several.
    #[serde(default)]
    pub(crate) name: String,
    /// The direction, if the value is that of a layer: `forward`, `backward input` …
    #[serde(default)]
    pub(crate) direction: String,
    /// The program that measured, with its version.
    #[serde(default)]
    pub(crate) program: String,
    /// The value. The program that measures layers names it `gflops`.
    #[serde(alias = "gflops")]
    pub(crate) value: f64,
    /// The unit of the value.
    #[serde(default)]
    pub(crate) unit: String,
    /// The program's peak memory in bytes.
    #[serde(default)]
    pub(crate) peak_bytes: Option<u64>,
    /// Floating-point operations for one unit of the value.
    #[serde(default)]
    pub(crate) operations: Option<u64>,
    /// Bytes read from and written to memory for one unit of the value.
    #[serde(default)]
    pub(crate) bytes: Option<u64>,
    /// The device on which the program computed.
    #[serde(default)]
    pub(crate) device: Option<String>,
}

impl Measurement {
    /// Creates a rate in images per second.
    pub(crate) fn rate(value: f64) -> Measurement {
        Measurement { value, unit: "images/s".to_owned(), ..Measurement::default() }
    }
}

/// Parses a program's measurements: JSON objects, one per line, or one JSON list of them. Ignores other lines, and
/// objects whose `gflops` is null (packing, which computes nothing).
///
/// # Errors
/// An object is not a measurement, a value is not positive, or there is no measurement.
pub(crate) fn parse(output: &str) -> Result<Vec<Measurement>, String> {
    let text = output.trim();
    let rows: Vec<Value> = if text.starts_with('[') {
        serde_json::from_str(text).map_err(|error| format!("printed no measurements: {error}"))?
    } else {
        let lines = text.lines().filter(|line| line.starts_with('{'));
        let parsed = lines.map(|line| serde_json::from_str(line).map_err(|error| format!("`{line}`: {error}")));
        parsed.collect::<Result<_, _>>()?
    };
    let computes = |row: &Value| !row.get("gflops").is_some_and(Value::is_null);
    let found = rows.into_iter().filter(computes).map(|row| {
        let shown = row.to_string();
        serde_json::from_value(row).map_err(|error| format!("`{shown}`: {error}"))
    });
    let found: Vec<Measurement> = found.collect::<Result<_, _>>()?;
    if let Some(wrong) = found.iter().find(|one| !(one.value.is_finite() && one.value > 0.0)) {
        return Err(format!(
            "printed the measurement {} {} {}, which is not positive",
            wrong.name, wrong.value, wrong.unit
        ));
    }
    if found.is_empty() { Err("printed no measurement".to_owned()) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_json_lines_and_ignores_others() {
        let output = "importing\n{\"program\":\"P 1\",\"value\":12.5,\"unit\":\"images/s\",\"peak_bytes\":1024}\n\
                      {\"name\":\"copy\",\"value\":3,\"unit\":\"GB/s\",\"peak_bytes\":null}\ndone\n";
        let found = parse(output).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].program.as_str(), found[0].value, found[0].peak_bytes), ("P 1", 12.5, Some(1024)));
        assert_eq!((found[1].name.as_str(), found[1].unit.as_str(), found[1].peak_bytes), ("copy", "GB/s", None));
    }

    #[test]
    fn parses_list_and_omits_rows_without_arithmetic() {
        let rows = "[{\"name\":\"conv1\",\"batch\":8,\"direction\":\"forward\",\"gflops\":115.5,\"ms\":3.1}]";
        let found = parse(rows).unwrap();
        assert_eq!((found[0].name.as_str(), found[0].direction.as_str(), found[0].value), ("conv1", "forward", 115.5));
        assert_eq!(parse(&rows[1..rows.len() - 1]).unwrap(), found);
        let packing = "{\"name\":\"conv1\",\"direction\":\"pack forward\",\"gflops\":null,\"ms\":0.1}";
        assert_eq!(parse(&format!("{}\n{packing}", &rows[1..rows.len() - 1])).unwrap(), found);
    }

    #[test]
    fn rejects_output_without_valid_measurement() {
        assert!(parse("").unwrap_err().contains("no measurement"));
        assert!(parse("nothing here").unwrap_err().contains("no measurement"));
        assert!(parse("{\"value\": \"fast\"}").unwrap_err().contains("fast"));
        assert!(parse("{\"value\": -1}").unwrap_err().contains("-1"));
    }
}
