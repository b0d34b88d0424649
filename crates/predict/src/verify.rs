//! The comparison of a record with a second computation.

use artifacts::hash::Hash;
use serde_json::Value;

use crate::check::CheckOptions;
use crate::error::Error;
use crate::judge::Judge;
use crate::record::{Record, Settings};

/// The largest difference of a probability between machines that counts as equal. Between instruction sets of one machine
/// the differences are below 0.0000001 (docs/checking.md), but decoders of JPEG may differ by a level between processors.
pub const TOLERANCE: f64 = 1e-3;

/// The outcome of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// Equal, numbers to the last digit.
    Equal,
    /// The numbers differ by at most [`TOLERANCE`], on another machine.
    Close,
    /// Different.
    Different,
}

/// The comparison of one part of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What was compared: `picture`, `model`, `p_fake` …
    pub part: String,
    /// The outcome.
    pub agreement: Agreement,
    /// The recorded and the new value, if they differ.
    pub detail: String,
}

/// Parts of a result that are about where the files were, and not about the picture.
const PATHS: [&str; 3] = ["path", "explanation", "explanations"];

/// Compares what a record depends on with what is here: picture, model and settings. If all findings are equal, a
/// second computation must give the recorded result.
pub fn compare_inputs(record: &Record, judge: &Judge, file: Hash, options: &CheckOptions) -> Vec<Finding> {
    let own = Settings::of(options);
    let of = |part: &str, recorded: String, found: String| {
        let agreement = if recorded == found { Agreement::Equal } else { Agreement::Different };
        let detail = if recorded == found { String::new() } else { format!("recorded {recorded}, here it is {found}") };
        Finding { part: part.to_owned(), agreement, detail }
    };
    let hash = |hash: Option<Hash>| hash.map_or("none".to_owned(), |hash| hash.to_string());
    vec![
        of("picture", hash(record.file()), file.to_string()),
        of("weights of the model", record.model.weights.to_string(), judge.detector.weights().to_string()),
        of("calibration and description of the model", record.model.info.to_string(), judge.info.hash().to_string()),
        of("preprocessing", json(&record.model.preprocessing), json(judge.detector.preprocessing())),
        of("limit on pixels", record.model.max_pixels.to_string(), judge.recipe.max_pixels.to_string()),
        of("setting explain", record.settings.explain.to_string(), own.explain.to_string()),
        of("setting layer", record.settings.layer.clone(), own.layer),
        of("setting stability", record.settings.stability.to_string(), own.stability.to_string()),
        of("setting trust list", hash(record.settings.trust_list), hash(own.trust_list)),
        of("device", record.machine.kind.clone(), judge.machine.kind.clone()),
    ]
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Computes the result again and compares it with the record.
///
/// # Errors
/// Errors of the model.
pub fn repeat(record: &Record, judge: &mut Judge, bytes: &[u8], options: &CheckOptions) -> Result<Vec<Finding>, Error> {
    let check = judge.check("", bytes, options)?;
    let again = Record::of(judge, &check, options);
    let same = record.machine.computes_like(&again.machine) && record.candling == again.candling;
    let tolerance = if same { 0.0 } else { TOLERANCE };
    let mut findings = compare_results(&record.result, &again.result, tolerance);
    if record.settings.explain {
        // The bytes of a drawing may differ where the last digits do.
        let equal = record.overlays == again.overlays;
        let agreement = match (equal, same) {
            (true, _) => Agreement::Equal,
            (false, true) => Agreement::Different,
            (false, false) => Agreement::Close,
        };
        let detail = if equal { String::new() } else { "the drawings have other bytes".to_owned() };
        findings.push(Finding { part: "overlays".to_owned(), agreement, detail });
    }
    Ok(findings)
}

/// Compares the members of two results.
fn compare_results(recorded: &Value, again: &Value, tolerance: f64) -> Vec<Finding> {
    let (Some(recorded), Some(again)) = (recorded.as_object(), again.as_object()) else {
        let detail = "the record has no result".to_owned();
        return vec![Finding { part: "result".to_owned(), agreement: Agreement::Different, detail }];
    };
    let keys: std::collections::BTreeSet<&String> = recorded.keys().chain(again.keys()).collect();
    let compared = keys.into_iter().filter(|key| !PATHS.contains(&key.as_str()));
    compared
        .map(|key| {
            let null = Value::Null;
            let (old, new) = (recorded.get(key).unwrap_or(&null), again.get(key).unwrap_or(&null));
            let agreement = agreement(old, new, tolerance);
            let detail = match agreement {
                Agreement::Equal => String::new(),
                _ => format!("recorded {}, now {}", shortened(old), shortened(new)),
            };
            Finding { part: key.clone(), agreement, detail }
        })
        .collect()
}

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 200 { format!("{}…", text.chars().take(200).collect::<String>()) } else { text }
}

/// Compares two values: numbers to the last digit, or within the tolerance.
fn agreement(old: &Value, new: &Value, tolerance: f64) -> Agreement {
    let worst = |all: &mut dyn Iterator<Item = Agreement>| {
        all.fold(Agreement::Equal, |worst, one| match (worst, one) {
            (Agreement::Different, _) | (_, Agreement::Different) => Agreement::Different,
            (Agreement::Close, _) | (_, Agreement::Close) => Agreement::Close,
            _ => Agreement::Equal,
        })
    };
    match (old, new) {
        (Value::Number(one), Value::Number(other)) if one != other => {
            let difference = one.as_f64().zip(other.as_f64()).map_or(f64::INFINITY, |(one, other)| (one - other).abs());
            if difference <= tolerance { Agreement::Close } else { Agreement::Different }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            worst(&mut one.iter().zip(other).map(|(one, other)| agreement(one, other, tolerance)))
        }
        (Value::Object(one), Value::Object(other)) if one.keys().eq(other.keys()) => {
            worst(&mut one.values().zip(other.values()).map(|(one, other)| agreement(one, other, tolerance)))
        }
        _ if old == new => Agreement::Equal,
        _ => Agreement::Different,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_equal_to_the_last_digit_or_within_the_tolerance() {
        let value = |p: f64| json!({ "p_fake": p, "stability": { "changes": [{ "p_fake": p }] }, "path": p });
        let compared = |other: f64, tolerance: f64| {
            compare_results(&value(0.25), &value(other), tolerance)
                .into_iter()
                .map(|finding| (finding.part, finding.agreement))
                .collect::<Vec<_>>()
        };
        let both = |agreement| vec![("p_fake".to_owned(), agreement), ("stability".to_owned(), agreement)];
        assert_eq!(compared(0.25, 0.0), both(Agreement::Equal));
        assert_eq!(compared(0.25_f64.next_up(), 0.0), both(Agreement::Different));
        assert_eq!(compared(0.25_f64.next_up(), TOLERANCE), both(Agreement::Close));
        assert_eq!(compared(0.2512, TOLERANCE), both(Agreement::Different));
    }

    #[test]
    fn texts_and_missing_members_must_be_equal() {
        let one = json!({ "verdict": "fake", "warnings": [] });
        let other = json!({ "verdict": "real", "warnings": ["x"], "error": "y" });
        let findings = compare_results(&one, &other, 1.0);
        assert!(findings.iter().all(|finding| finding.agreement == Agreement::Different), "{findings:?}");
        assert_eq!(findings.len(), 3);
        assert!(findings[1].detail.contains("recorded \"fake\", now \"real\""), "{findings:?}");
        assert_eq!(compare_results(&json!(1), &one, 1.0)[0].agreement, Agreement::Different);
    }
}
