//! The contact sheet of a batch: pages of thumbnails with verdicts. They load nothing from a network.

use std::io;
use std::path::Path;

use artifacts::atomic;
use artifacts::stage::Failure;
use artifacts::text::visible;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use crate::batch_line::Line;

/// The number of pictures on a page.
const PAGE: usize = 300;

/// The page loads its own thumbnails only. `data:` and `file:` have no origin, so that `'self'` alone does not allow them.
const POLICY: &str = "default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'";

const STYLE: &str = "
:root { color-scheme: light dark; --text: #1a1d21; --soft: #5a626b; --page: #fbfbfa; --card: #fff; --line: #d9dcdf;
  --fake: #a33a00; --real: #00558c; --none: #5a626b; }
@media (prefers-color-scheme: dark) { :root { --text: #e8eaec; --soft: #a9b1b9; --page: #16181a; --card: #202327;
  --line: #3a3f45; --fake: #ff9d66; --real: #7cc4f5; --none: #b4bbc2; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 1.5rem clamp(1rem, 4vw, 3rem); background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
p { margin: .25rem 0 1rem; max-width: 48rem; }
nav { margin: 1rem 0; display: flex; flex-wrap: wrap; gap: .25rem .75rem; }
a { color: inherit; }
.counts { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; padding: 0; list-style: none; margin: 0 0 1rem; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(13rem, 100%), 1fr)); gap: 1rem; padding: 0;
  margin: 0; list-style: none; }
.sheet li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; overflow: hidden;
  display: flex; flex-direction: column; break-inside: avoid; }
.sheet img, .sheet .empty { width: 100%; height: 11rem; object-fit: contain; background: var(--line); display: block; }
.sheet div.text { padding: .5rem .75rem .75rem; overflow-wrap: anywhere; }
.sheet span { white-space: nowrap; }
.verdict { font-weight: 600; }
.fake { color: var(--fake); } .real { color: var(--real); } .inconclusive, .error { color: var(--none); }
small { display: block; color: var(--soft); font-size: .8125rem; }
";

/// The numbers of pictures by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    fake: usize,
    inconclusive: usize,
    real: usize,
    error: usize,
}

impl Counts {
    fn add(&mut self, row: &Value) {
        match row["verdict"].as_str() {
            Some("fake") => self.fake += 1,
            Some("inconclusive") => self.inconclusive += 1,
            Some("real") => self.real += 1,
            _ => self.error += 1,
        }
    }

    fn total(self) -> usize {
        self.fake + self.inconclusive + self.real + self.error
    }
}

/// Writes the pages: `index.html`, `page-2.html` …. `lines` opens the results again for each pass.
pub(crate) fn write<I: Iterator<Item = io::Result<Line>>>(
    dir: &Path,
    lines: impl Fn() -> Result<I, Failure>,
) -> Result<(), Failure> {
    let mut counts = Counts::default();
    for line in lines()? {
        counts.add(&line.map_err(Failure::input)?.row);
    }
    let pages = counts.total().div_ceil(PAGE).max(1);
    let mut all = lines()?;
    for page in 0..pages {
        let mut cards = Vec::with_capacity(PAGE);
        for line in all.by_ref().take(PAGE) {
            cards.push(card(&line.map_err(Failure::input)?));
        }
        let text = self::page(counts, page, pages, &cards).into_string();
        atomic::write_file(&dir.join(name(page)), text.as_bytes())?;
    }
    // Pages of an earlier, longer sheet do not exist, because results are only added.
    Ok(())
}

fn name(page: usize) -> String {
    if page == 0 { "index.html".to_owned() } else { format!("page-{}.html", page + 1) }
}

fn page(counts: Counts, page: usize, pages: usize, cards: &[Markup]) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { "Contact sheet of " (counts.total()) " pictures" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Contact sheet of " (counts.total()) " pictures" }
                ul.counts {
                    li { span.verdict.fake { "traces of generation" } ": " (counts.fake) }
                    li { span.verdict.inconclusive { "inconclusive" } ": " (counts.inconclusive) }
                    li { span.verdict.real { "no traces found" } ": " (counts.real) }
                    li { span.verdict.error { "not readable" } ": " (counts.error) }
                }
                p {
                    "The absence of traces does not prove that a picture is real. What a file declares has no effect on \
                     the verdict. All values are in " a href="results.csv" { "results.csv" } "."
                }
                (navigation(page, pages))
                main { ul.sheet { @for card in cards { (card) } } }
                (navigation(page, pages))
            }
        }
    }
}

fn navigation(page: usize, pages: usize) -> Markup {
    html! {
        @if pages > 1 {
            nav aria-label="Pages" {
                @for other in 0..pages {
                    @if other == page { strong aria-current="page" { "Page " (other + 1) } }
                    @else { a href=(name(other)) { "Page " (other + 1) } }
                }
            }
        }
    }
}

fn card(line: &Line) -> Markup {
    let row = &line.row;
    let text = |key: &str| row[key].as_str().map(visible);
    let class = row["verdict"].as_str().filter(|verdict| matches!(*verdict, "fake" | "real" | "inconclusive"));
    let path = text("path").unwrap_or_default();
    let file = path.rsplit(['/', '\\']).next().unwrap_or(&path).to_owned();
    let p_fake = row["p_fake_calibrated"].as_f64().or_else(|| row["p_fake"].as_f64());
    let declared = declarations(row);
    let warnings = row["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        li {
            @match &line.thumbnail {
                Some(name) => img src={ "thumbnails/" (name) } alt={ "Thumbnail of " (file) } loading="lazy";,
                None => div.empty {},
            }
            div.text {
                span class={ "verdict " (class.unwrap_or("error")) } {
                    (text("verdict_words").unwrap_or_else(|| "not readable".to_owned()))
                }
                @if let Some(p) = p_fake { " " span { "P(fake) " (format!("{p:.3}")) } }
                small title=(path) { (file) }
                @if let Some(error) = text("error") { small { (error) } }
                @for declaration in declared { small { (declaration) } }
                @for warning in warnings.iter().filter_map(Value::as_str) { small { "Warning: " (visible(warning)) } }
            }
        }
    }
}

/// Short forms of what a file declares.
fn declarations(row: &Value) -> Vec<String> {
    let provenance = &row["provenance"];
    let mut found = Vec::new();
    match provenance["credentials"]["state"].as_str() {
        Some("trusted") => found.push("Content Credentials: valid, trusted signer".to_owned()),
        Some("untrusted") => found.push("Content Credentials: valid, signer not on a trust list".to_owned()),
        Some("broken") => found.push("Content Credentials: broken".to_owned()),
        _ => {}
    }
    if let Some(source) = provenance["source_type"].as_str() {
        found.push(format!("Declared source: {}", visible(source)));
    }
    for parameters in provenance["parameters"].as_array().map(Vec::as_slice).unwrap_or_default() {
        if let Some(tool) = parameters["tool"].as_str() {
            found.push(format!("Parameters of {}", visible(tool)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cards_escape_what_files_say() {
        let row = json!({
            "path": "a/<script>\u{202e}.png", "verdict": "fake", "verdict_words": "traces of generation",
            "p_fake": 0.5, "p_fake_calibrated": 0.99, "warnings": ["<b>"],
            "provenance": { "credentials": { "state": "broken" }, "parameters": [{ "tool": "<i>" }] },
        });
        let line: Line =
            serde_json::from_value(json!({ "bytes": 1, "modified": 1, "csv": "", "thumbnail": null, "row": row }))
                .unwrap();
        let card = card(&line).into_string();
        assert!(!card.contains("<script>") && !card.contains("<i>") && !card.contains('\u{202e}'), "{card}");
        assert!(card.contains("P(fake) 0.990") && card.contains("Content Credentials: broken"), "{card}");
        let counts = Counts { fake: 1, ..Counts::default() };
        let page = page(counts, 1, 3, &[]).into_string();
        assert!(page.contains("href=\"page-3.html\"") && page.contains("href=\"index.html\""), "{page}");
    }
}
