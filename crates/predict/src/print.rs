//! Output formats: a table for people, JSON lines and CSV for programs.

use std::borrow::Cow;

use artifacts::spreadsheet;
use artifacts::text::is_hazard;
use evaluate::calibration::Verdict;
use pixels::metadata::Declared;
use provenance::State;

use crate::row::{Row, ValidationAtScore};

/// An output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A table with aligned columns.
    Table,
    /// One JSON object per line.
    Json,
    /// Comma-separated values with a header.
    Csv,
}

impl Style {
    /// Returns the header line, if the format has one.
    pub fn header(self) -> Option<String> {
        match self {
            Style::Table => Some(format!("{:>8}  {:<20}  {:<12}  file", "P(fake)", "verdict", "file hash")),
            Style::Json => None,
            Style::Csv => {
                Some("path,p_fake,p_fake_calibrated,verdict,error,warnings,declares,file,model,explanation".to_owned())
            }
        }
    }

    /// Formats a row. Control characters in file names are escaped.
    pub fn row(self, row: &Row) -> String {
        match self {
            Style::Table => table(row),
            Style::Json => json(row),
            Style::Csv => csv(row),
        }
    }
}

fn table(row: &Row) -> String {
    let path = escape_hazards(&row.path);
    let file = row.file.map_or_else(String::new, |file| file.short());
    let mut line = match (&row.error, row.p_fake_calibrated.or(row.p_fake)) {
        (None, Some(p)) => format!("{p:>8.4}  {:<20}  {file:<12}  {path}", row.verdict_words.unwrap_or_default()),
        (error, _) => {
            let error = error.as_deref().unwrap_or("there is no verdict");
            format!("{:>8}  {:<20}  {file:<12}  {path}: {}", "", "error", escape_hazards(error))
        }
    };
    let warnings = row.warnings.iter().map(|warning| format!("warning: {warning}"));
    let stability = row.stability.iter().map(|found| {
        format!(
            "stability: P(fake) is {:.4} to {:.4} over {} small changes",
            found.low,
            found.high,
            found.changes.len()
        )
    });
    let validation = row.validation.iter().filter_map(in_validation);
    for detail in validation.chain(stability).chain(warnings).chain(declarations(row)) {
        line.push_str(&format!("\n{:>8}  {:<20}  {:<12}  {}", "", "", "", escape_hazards(&detail)));
    }
    line
}

fn json(row: &Row) -> String {
    // serde_json does not escape DEL and the C1 control characters.
    serde_json::to_string(row).unwrap_or_default().chars().fold(String::new(), |mut text, c| {
        if is_hazard(c) {
            text.push_str(&format!("\\u{:04x}", c as u32));
        } else {
            text.push(c);
        }
        text
    })
}

fn csv(row: &Row) -> String {
    let text = |text: &str| spreadsheet::escape_formula(&escape_hazards(text)).into_owned();
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    let hash = |hash: Option<artifacts::hash::Hash>| hash.map_or(String::new(), |hash| hash.to_string());
    let fields = [
        text(&row.path),
        number(row.p_fake),
        number(row.p_fake_calibrated),
        row.verdict.map_or(String::new(), |verdict| verdict_name(verdict).to_owned()),
        text(row.error.as_deref().unwrap_or_default()),
        text(&row.warnings.join("; ")),
        text(&row.declares.iter().map(in_words).collect::<Vec<_>>().join("; ")),
        hash(row.file),
        hash(row.model),
        text(row.explanation.as_deref().unwrap_or_default()),
    ];
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing to memory does not fail.
    let written = writer.write_record(&fields).map(|()| writer.into_inner().unwrap_or_default());
    String::from_utf8_lossy(&written.unwrap_or_default()).trim_end_matches('\n').to_owned()
}

/// Says how often the verdict would be wrong at this score.
fn in_validation(found: &ValidationAtScore) -> Option<String> {
    let wrong = found.wrong?;
    Some(format!(
        "in validation, {:.1}% of {} images with P(fake) from {} to {} were of the other class",
        wrong * 100.0,
        found.images,
        found.low,
        found.high
    ))
}

/// Lists what the file declares. Nothing is said of absent Content Credentials, which is the rule.
fn declarations(row: &Row) -> Vec<String> {
    let shown = |text: String| format!("declares: {text}");
    match &row.provenance {
        None => row.declares.iter().map(|declared| shown(in_words(declared))).collect(),
        Some(provenance) => {
            let credentials = &provenance.credentials;
            let silent = credentials.state == State::Absent && credentials.remote.is_none();
            provenance.sentences().into_iter().skip(usize::from(silent)).map(shown).collect()
        }
    }
}

fn in_words(declared: &Declared) -> String {
    let parts = [declared.kind.name(), declared.text.as_str()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Real => "real",
        Verdict::Fake => "fake",
        Verdict::Inconclusive => "inconclusive",
    }
}

/// Escapes characters that control the terminal, hide text or reorder it, so that a file name cannot move the cursor or
/// hide its extension.
fn escape_hazards(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hazard) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if is_hazard(c) { c.escape_unicode().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

#[cfg(test)]
mod tests {
    use pixels::metadata::Declaration;

    use super::*;

    const HOSTILE: &str = "a\u{1b}[31m\n\"b\",\u{7f}\u{9b}\u{202E}<script>.png";

    fn row() -> Row {
        Row {
            path: HOSTILE.to_owned(),
            p_fake: Some(0.1),
            p_fake_calibrated: Some(0.25),
            verdict: Some(Verdict::Inconclusive),
            warnings: vec!["odd\u{8}".to_owned()],
            declares: vec![Declared { kind: Declaration::GeneratorParameters, text: "a cat\n\u{1b}[31m".to_owned() }],
            ..Row::default()
        }
    }

    #[test]
    fn no_format_prints_control_characters() {
        for style in [Style::Table, Style::Json, Style::Csv] {
            let text = style.row(&row());
            let table_line_breaks = if style == Style::Table { 2 } else { 0 };
            let hazards = text.chars().filter(|&c| is_hazard(c)).count();
            assert_eq!(hazards, table_line_breaks, "{style:?}: {text:?}");
        }
    }

    #[test]
    fn json_preserves_file_names() {
        let value: serde_json::Value = serde_json::from_str(&Style::Json.row(&row())).unwrap();
        assert_eq!(value["path"], HOSTILE);
        assert_eq!((&value["verdict"], value["p_fake"].as_f64()), (&"inconclusive".into(), Some(0.1)));
        assert!(value["error"].is_null());
        assert_eq!(value["declares"][0]["kind"], "generator_parameters");
        assert_eq!(value["declares"][0]["text"], "a cat\n\u{1b}[31m");
    }

    #[test]
    fn csv_rows_have_as_many_fields_as_the_header() {
        let simple = Row { path: "a.png".to_owned(), error: Some("cut".to_owned()), ..Row::default() };
        let header = Style::Csv.header().unwrap();
        assert_eq!(Style::Csv.row(&simple).matches(',').count(), header.matches(',').count());
        assert!(Style::Csv.row(&row()).starts_with("\"a\\u{1b}[31m"));
        let formula = Row { path: "=1+1.png".to_owned(), ..Row::default() };
        assert!(Style::Csv.row(&formula).starts_with("'=1+1.png,"));
    }

    #[test]
    fn table_shows_the_error_of_a_file() {
        let broken = Row { path: "a.png".to_owned(), error: Some("cut short".to_owned()), ..Row::default() };
        assert!(Style::Table.row(&broken).contains("a.png: cut short"));
    }
}
