//! The figure of a sweep with `--train-on-each`: ROC-AUC by the generator trained on and the generator tested.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::grid::ONLY;
use super::results::Sweep;
use super::tables::label;

/// Height and width of a cell.
const CELL: usize = 56;
/// The space for the names of rows and columns.
const MARGIN: usize = 190;
/// The width of a letter of a name, as far as the slanted names extend to the right.
const LETTER: usize = 6;
/// The space above the columns for the title.
const TITLE: usize = 40;

/// Draws the matrix as an SVG file.
pub(super) fn svg(sweep: &Sweep) -> String {
    let tested: BTreeSet<&String> = sweep.jobs.iter().flat_map(|job| job.generators.keys()).collect();
    let (rows, columns) = (sweep.jobs.len(), tested.len());
    // Names extend beyond their columns.
    let beyond = |(from_end, name): (usize, &&String)| (name.chars().count() * LETTER).saturating_sub(from_end * CELL);
    let overhang = tested.iter().rev().enumerate().map(beyond).max().unwrap_or(0);
    let (width, height) = (MARGIN + columns * CELL + overhang, TITLE + MARGIN + rows * CELL + 20);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\" role=\"img\" aria-label=\"ROC-AUC by generator trained on and tested\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"15\">ROC-AUC: rows are trained on one generator, columns are the generator tested</text>\n"
    );
    let top = TITLE + MARGIN;
    for (column, name) in tested.iter().enumerate() {
        let (x, y) = (MARGIN + column * CELL + CELL / 2 + 4, top - 8);
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" transform=\"rotate(-50 {x} {y})\">{}</text>", escaped(name));
    }
    for (row, job) in sweep.jobs.iter().enumerate() {
        let y = top + row * CELL;
        let name = escaped(&label(job, ONLY));
        let _ =
            writeln!(svg, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>", MARGIN - 8, y + CELL / 2 + 5);
        for (column, name) in tested.iter().enumerate() {
            let score = job.generators.get(*name).and_then(|test| test.roc_auc);
            let (x, [fill, ink]) = (MARGIN + column * CELL, colours(score));
            let text = score.map_or_else(|| "–".to_owned(), |score| format!("{score:.2}"));
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\" fill=\"{fill}\"/><text x=\"{middle}\" y=\"{base}\" \
                 fill=\"{ink}\" text-anchor=\"middle\">{text}</text>",
                side = CELL - 2,
                middle = x + CELL / 2 - 1,
                base = y + CELL / 2 + 4,
            );
        }
    }
    svg + "</svg>\n"
}

/// The colour of a cell and of its text. Chance, 0.5, is white; 1 is dark blue, and 0 dark orange.
fn colours(score: Option<f64>) -> [String; 2] {
    let Some(score) = score else { return ["#eeeeee", "#333333"].map(str::to_owned) };
    let strength = ((score - 0.5).abs() * 2.0).clamp(0.0, 1.0);
    let dark = if score >= 0.5 { [8.0, 60.0, 125.0] } else { [150.0, 60.0, 0.0] };
    let [r, g, b] = dark.map(|channel| (255.0 + (channel - 255.0) * strength) as u8);
    [format!("#{r:02x}{g:02x}{b:02x}"), if strength > 0.65 { "#ffffff" } else { "#1a1a1a" }.to_owned()]
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::job_scores;
    use super::*;

    #[test]
    fn names_of_generators_are_escaped() {
        let jobs = vec![job_scores([ONLY, "<script>"], 0, [0.9, 0.9], &[("a&b", 0.95), ("<script>", 0.2)])];
        let svg = svg(&Sweep { pipeline: "smoke".to_owned(), protocol: None, jobs, chosen: None });
        assert!(svg.contains("a&amp;b") && svg.contains("&lt;script&gt;") && !svg.contains("<script>"), "{svg}");
        assert!(svg.contains(">0.95<") && svg.contains(">0.20<"), "{svg}");
    }

    #[test]
    fn chance_is_white() {
        assert_eq!(colours(Some(0.5))[0], "#ffffff");
        assert_eq!(colours(Some(1.0))[0], "#083c7d");
        assert_eq!(colours(Some(0.0))[0], "#963c00");
    }
}
