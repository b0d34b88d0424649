//! Formats results as Markdown tables and inserts them into a page (docs/performance.md).
//!
//! A page has a section for each device, between `<!-- bench:cpu -->` and `<!-- /bench:cpu -->` (or `cuda`). A run
//! replaces the section of its device. The rest of the page is written by hand.

use std::fmt::Write;

use super::case::{Row, Table};
use super::options::Part;

/// A page without results.
pub(crate) const EMPTY: &str = include_str!("performance_page.md");

/// The tables in the order of the page, with their titles.
const TABLES: [(Table, &str); 11] = [
    (Table::Speed(Part::Train), "Training step (forward, backward, Adam)"),
    (Table::Speed(Part::Infer), "Inference"),
    (Table::Speed(Part::Branches), "Training step of a detector with two trained branches (ResNet-50 and patches)"),
    (Table::Speed(Part::Vit), "Features of a vision transformer (CLIP ViT-B/16)"),
    (Table::Speed(Part::Norm), "Batch norms alone, forward and backward (peers without ReLU and residual addition)"),
    (Table::Memory, "Peak memory in GB"),
    (Table::Speed(Part::Ingest), "Ingest of JPEG files"),
    (Table::Speed(Part::Predict), "A verdict on one picture, from the start of the program to its end"),
    (Table::Speed(Part::Loader), "Loader: shuffled batches from shards"),
    (Table::Speed(Part::Layers), "Single convolutions"),
    (Table::Speed(Part::Peak), "Peak of this machine"),
];

/// Returns the section of a device: `conditions` as a list, then the tables.
pub(crate) fn section(conditions: &[(&str, String)], rows: &[Row]) -> String {
    let mut text = String::new();
    for (name, value) in conditions {
        let _ = writeln!(text, "- {name}: {value}");
    }
    for (table, title) in TABLES {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.table == table).collect();
        if !rows.is_empty() {
            let _ = write!(text, "\n### {title}\n\n{}", format_table(&rows));
        }
    }
    text
}

/// Formats a Markdown table without empty columns, followed by the rows' notes.
fn format_table(rows: &[&Row]) -> String {
    type Cell = fn(&Row) -> Option<String>;
    let columns: [(&str, Cell); 8] = [
        ("name", |row| Some(format!("`{}`", row.name))),
        ("Candling", |row| format_value(row.ours, row)),
        ("peer", |row| row.peer_name.clone()),
        ("peer's value", |row| format_value(row.peer, row)),
        ("ratio", |row| Some(format!("**{:.2}**", row.ratio?))),
        ("range over rounds", |row| row.ratio_range.map(|[low, high]| format!("{low:.2} to {high:.2}"))),
        ("share of peak", |row| Some(format!("{:.0}%", 100.0 * row.peak_share?))),
        ("share of bandwidth", |row| Some(format!("{:.0}%", 100.0 * row.bandwidth_share?))),
    ];
    let cells = columns.map(|(title, cell)| {
        let column: Vec<Option<String>> = rows.iter().map(|row| cell(row)).collect();
        (title, column)
    });
    let cells: Vec<_> = cells.into_iter().filter(|(_, column)| column.iter().any(Option::is_some)).collect();
    let mut text = String::new();
    let line = |text: &mut String, words: Vec<String>| {
        let padded = words.iter().zip(&cells).map(|(word, (title, column))| {
            let longest = column.iter().flatten().map(|cell| cell.chars().count()).chain([title.chars().count()]).max();
            format!("{word:<width$}", width = longest.unwrap_or(0))
        });
        let _ = writeln!(text, "| {} |", padded.collect::<Vec<_>>().join(" | "));
    };
    line(&mut text, cells.iter().map(|(title, _)| (*title).to_owned()).collect());
    let _ = writeln!(text, "|{}", " --- |".repeat(cells.len()));
    for i in 0..rows.len() {
        line(&mut text, cells.iter().map(|(_, column)| column[i].clone().unwrap_or_else(|| "—".to_owned())).collect());
    }
    let mut notes: Vec<&str> = rows.iter().filter_map(|row| row.note.as_deref()).collect();
    notes.dedup();
    if !notes.is_empty() {
        text.push('\n');
    }
    for note in notes {
        let _ = writeln!(text, "- {note}");
    }
    text
}

/// Formats a value with three or four significant digits and its unit. Bytes are shown in GB, without the unit.
fn format_value(value: Option<f64>, row: &Row) -> Option<String> {
    let value = value?;
    let (value, unit) = if row.unit == "bytes" { (value / 1e9, "") } else { (value, row.unit.as_str()) };
    let digits = match value {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    Some(format!("{value:.digits$} {unit}").trim_end().to_owned())
}

/// Replaces the section of `device` in `page`.
///
/// # Errors
/// The page has no such section.
pub(crate) fn replace_section(page: &str, device: &str, section: &str) -> Result<String, String> {
    let (open, close) = (format!("<!-- bench:{device} -->"), format!("<!-- /bench:{device} -->"));
    let parts = page.split_once(&open).and_then(|(before, rest)| Some((before, rest.split_once(&close)?.1)));
    let Some((before, after)) = parts else {
        return Err(format!(
            "there is no section between `{open}` and `{close}`; add these two lines where the results should be"
        ));
    };
    Ok(format!("{before}{open}\n{}\n{close}{after}", section.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, ours: f64, peer: Option<f64>) -> Row {
        Row {
            name: name.to_owned(),
            ours: Some(ours),
            peer_name: Some("PyTorch".to_owned()),
            peer,
            ratio: peer.map(|peer| ours / peer),
            unit: "images/s".to_owned(),
            note: peer.is_none().then(|| "PyTorch: No module named 'torch'".to_owned()),
            table: Table::Speed(Part::Train),
            ratio_range: peer.map(|_| [1.2, 1.345]),
            peak_share: Some(0.507),
            bandwidth_share: None,
        }
    }

    #[test]
    fn section_lists_conditions_tables_and_notes() {
        let memory = Row {
            unit: "bytes".to_owned(),
            table: Table::Memory,
            peak_share: None,
            ..row("cpu.train.memory.b32", 2.5e9, Some(3.9e9))
        };
        let rows = [row("cpu.train.f32.b16", 12.34, Some(10.0)), row("cpu.train.f32.b32", 1234.5, None), memory];
        let conditions = [("machine", "a processor, 2 cores".to_owned())];
        let expected = "\
- machine: a processor, 2 cores

### Training step (forward, backward, Adam)

| name                | Candling      | peer    | peer's value  | ratio    | range over rounds | share of peak |
| --- | --- | --- | --- | --- | --- | --- |
| `cpu.train.f32.b16` | 12.3 images/s | PyTorch | 10.0 images/s | **1.23** | 1.20 to 1.34      | 51%           |
| `cpu.train.f32.b32` | 1234 images/s | PyTorch | —             | —        | —                 | 51%           |

- PyTorch: No module named 'torch'

### Peak memory in GB

| name                   | Candling | peer    | peer's value | ratio    | range over rounds |
| --- | --- | --- | --- | --- | --- |
| `cpu.train.memory.b32` | 2.50     | PyTorch | 3.90         | **0.64** | 1.20 to 1.34      |
";
        assert_eq!(section(&conditions, &rows), expected);
    }

    #[test]
    fn table_has_bandwidth_column_if_measured() {
        let row = Row { bandwidth_share: Some(0.625), ..row("cuda.train.bf16.b64", 3000.0, Some(2000.0)) };
        let text = section(&[], &[row]);
        assert!(text.contains("share of peak | share of bandwidth |"), "{text}");
        assert!(text.contains("| 51%           | 62%"), "{text}");
    }

    #[test]
    fn replacing_a_section_leaves_the_rest() {
        let page = replace_section(EMPTY, "cpu", "first\n").unwrap();
        let again = replace_section(&page, "cpu", "second\n").unwrap();
        assert!(again.contains("second") && !again.contains("first"), "{again}");
        let outside = |page: &str| {
            let (before, rest) = page.split_once("<!-- bench:cpu -->").unwrap();
            (before.to_owned(), rest.split_once("<!-- /bench:cpu -->").unwrap().1.to_owned())
        };
        assert_eq!(outside(&again), outside(EMPTY));
        assert!(outside(EMPTY).1.contains("<!-- bench:cuda -->"));
        assert!(replace_section("# By hand\n", "cpu", "x").unwrap_err().contains("<!-- bench:cpu -->"));
    }
}
