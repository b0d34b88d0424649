//! Results as tables, and the page that they stand on.
//!
//! A page is written by hand except for one section for each device, between `<!-- bench:cpu -->` and `<!-- /bench:cpu -->`
//! (or `cuda`); a run writes its own section anew and leaves everything else alone.

use std::fmt::Write;

use super::args::Part;
use super::case::{Row, Table};

/// The page that is begun with where there is none.
pub(crate) const EMPTY: &str = include_str!("page.md");

/// The tables, in their order on the page, with what they show.
const TABLES: [(Table, &str); 8] = [
    (Table::Of(Part::Train), "Training step (forward, backward, Adam)"),
    (Table::Of(Part::Infer), "Inference"),
    (Table::Of(Part::Norm), "Batch norms by themselves, forward and backward (peers without ReLU and shortcut)"),
    (Table::Memory, "Most memory taken, in GB"),
    (Table::Of(Part::Ingest), "Ingest of JPEG files"),
    (Table::Of(Part::Loader), "Loader: shuffled batches out of shards"),
    (Table::Of(Part::Layers), "Single convolutions"),
    (Table::Of(Part::Peak), "What this machine can do at most"),
];

/// A device's section: `facts` as a list, then the tables.
pub(crate) fn section(facts: &[(&str, String)], rows: &[Row]) -> String {
    let mut text = String::new();
    for (name, value) in facts {
        let _ = writeln!(text, "- {name}: {value}");
    }
    for (table, title) in TABLES {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.table == table).collect();
        if !rows.is_empty() {
            let _ = write!(text, "\n### {title}\n\n{}", table_of(&rows));
        }
    }
    text
}

/// One table; columns that would be empty are left out, and notes follow below.
fn table_of(rows: &[&Row]) -> String {
    type Cell = fn(&Row) -> Option<String>;
    let columns: [(&str, Cell); 8] = [
        ("name", |row| Some(format!("`{}`", row.name))),
        ("Candling", |row| amount(row.ours, row)),
        ("peer", |row| row.peer_name.clone()),
        ("peer's", |row| amount(row.peer, row)),
        ("ratio", |row| Some(format!("**{:.2}**", row.ratio?))),
        ("of single rounds", |row| row.spread.map(|[low, high]| format!("{low:.2} to {high:.2}"))),
        ("share of the peak", |row| Some(format!("{:.0}%", 100.0 * row.share?))),
        ("share of the bandwidth", |row| Some(format!("{:.0}%", 100.0 * row.bandwidth?))),
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

/// A value with three or four digits that count, and its unit.
fn amount(value: Option<f64>, row: &Row) -> Option<String> {
    let value = value?;
    let (value, unit) = if row.unit == "bytes" { (value / 1e9, "") } else { (value, row.unit.as_str()) };
    let digits = match value {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    Some(format!("{value:.digits$} {unit}").trim_end().to_owned())
}

/// `page` with the section of `device` replaced.
///
/// # Errors
/// The page has no such section.
pub(crate) fn splice(page: &str, device: &str, section: &str) -> Result<String, String> {
    let (open, close) = (format!("<!-- bench:{device} -->"), format!("<!-- /bench:{device} -->"));
    let parts = page.split_once(&open).and_then(|(before, rest)| Some((before, rest.split_once(&close)?.1)));
    let Some((before, after)) = parts else {
        return Err(format!("it has no section between `{open}` and `{close}`; put these two lines where it belongs"));
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
            table: Table::Of(Part::Train),
            spread: peer.map(|_| [1.2, 1.345]),
            share: Some(0.507),
            bandwidth: None,
        }
    }

    #[test]
    fn a_fixed_set_of_results_makes_this_section() {
        let memory = Row {
            unit: "bytes".to_owned(),
            table: Table::Memory,
            share: None,
            ..row("cpu.train.memory.b32", 2.5e9, Some(3.9e9))
        };
        let rows = [row("cpu.train.f32.b16", 12.34, Some(10.0)), row("cpu.train.f32.b32", 1234.5, None), memory];
        let facts = [("machine", "a processor, 2 cores".to_owned())];
        let expected = "\
- machine: a processor, 2 cores

### Training step (forward, backward, Adam)

| name                | Candling      | peer    | peer's        | ratio    | of single rounds | share of the peak |
| --- | --- | --- | --- | --- | --- | --- |
| `cpu.train.f32.b16` | 12.3 images/s | PyTorch | 10.0 images/s | **1.23** | 1.20 to 1.34     | 51%               |
| `cpu.train.f32.b32` | 1234 images/s | PyTorch | —             | —        | —                | 51%               |

- PyTorch: No module named 'torch'

### Most memory taken, in GB

| name                   | Candling | peer    | peer's | ratio    | of single rounds |
| --- | --- | --- | --- | --- | --- |
| `cpu.train.memory.b32` | 2.50     | PyTorch | 3.90   | **0.64** | 1.20 to 1.34     |
";
        assert_eq!(section(&facts, &rows), expected);
    }

    #[test]
    fn on_a_card_the_bandwidth_has_a_column() {
        let row = Row { bandwidth: Some(0.625), ..row("cuda.train.bf16.b64", 3000.0, Some(2000.0)) };
        let text = section(&[], &[row]);
        assert!(text.contains("share of the peak | share of the bandwidth |"), "{text}");
        assert!(text.contains("| 51%               | 62%"), "{text}");
    }

    #[test]
    fn what_is_written_by_hand_survives() {
        let page = splice(EMPTY, "cpu", "first\n").unwrap();
        let again = splice(&page, "cpu", "second\n").unwrap();
        assert!(again.contains("second") && !again.contains("first"), "{again}");
        let outside = |page: &str| {
            let (before, rest) = page.split_once("<!-- bench:cpu -->").unwrap();
            (before.to_owned(), rest.split_once("<!-- /bench:cpu -->").unwrap().1.to_owned())
        };
        assert_eq!(outside(&again), outside(EMPTY));
        assert!(outside(EMPTY).1.contains("<!-- bench:cuda -->"));
        assert!(splice("# By hand\n", "cpu", "x").unwrap_err().contains("<!-- bench:cpu -->"));
    }
}
