//! The data: what there was, and what could not be used.

use artifacts::Label;
use artifacts::schema::{IngestSummary, Rejected};
use maud::{Markup, html};

use super::widgets::Column::{Number, Words};
use super::widgets::{Section, captioned, facts, head, scrolled};
use crate::evidence::{Evidence, Ingest};
use crate::number::{count, counted, duration, share};
use crate::text::visible;

/// Rejected files beyond these are in `rejected.jsonl` only.
const MOST_REJECTED: usize = 100;

/// Summary and rejected files; nothing where this run has ingested no data.
pub(crate) fn section(evidence: &Evidence) -> Option<Section> {
    let ingest = evidence.ingest.as_ref()?;
    let summary = &ingest.summary;
    let lead = format!(
        "{}{} in {}, of which {} could not be used.",
        if summary.simulated { "A simulated set: " } else { "" },
        counted(summary.seen, "file"),
        visible(&summary.source),
        count(summary.rejected)
    );
    let body = html! {
        (splits(summary))
        (facts(&overview(ingest)))
        (rejected(ingest))
    };
    Some(Section { id: "data", title: "Data", lead, body })
}

fn splits(summary: &IngestSummary) -> Markup {
    let rows = html! {
        (head(&[Words("Split"), Number("Real"), Number("Fake"), Number("Share fake"), Words("Formats")]))
        tbody {
            @for (split, counts) in &summary.splits {
                @let [real, fake] = Label::ALL.map(|label| counts.labels.get(&label).copied().unwrap_or(0));
                tr {
                    th scope="row" { (split) }
                    td.number { (count(real)) }
                    td.number { (count(fake)) }
                    td.number { (share(fake, real + fake)) }
                    td {
                        @if counts.formats.is_empty() { "stripped" }
                        @for (i, (format, images)) in counts.formats.iter().enumerate() {
                            @if i > 0 { ", " }
                            (visible(format)) " " (count(*images))
                        }
                    }
                }
            }
        }
    };
    captioned("splits-caption", Some("compact"), &html! { "Images by split" }, &rows)
}

fn overview(ingest: &Ingest) -> Vec<(String, Markup)> {
    let summary = &ingest.summary;
    let [height, width] = summary.size;
    let mut facts = vec![
        (
            "Source".to_owned(),
            html! { (visible(&summary.source)) @if summary.simulated { " " span.badge { "simulated" } } },
        ),
        ("Stored size".to_owned(), html! { (width) " × " (height) " pixels" }),
        (
            "Ingest".to_owned(),
            html! { (duration(ingest.manifest.seconds)) ", " (count(summary.images_per_second.round() as u64)) " images/s" },
        ),
    ];
    let generators: std::collections::BTreeSet<&str> = summary
        .splits
        .values()
        .flat_map(|split| split.generators.keys())
        .map(String::as_str)
        .filter(|name| !name.is_empty())
        .collect();
    if !generators.is_empty() {
        let names: Vec<String> = generators.iter().map(|name| visible(name)).collect();
        facts.push(("Generators".to_owned(), html! { (names.join(", ")) }));
    }
    facts
}

fn rejected(ingest: &Ingest) -> Markup {
    let summary = &ingest.summary;
    html! {
        h3 { "Files that could not be used" }
        @if summary.rejected == 0 {
            p.note { "None." }
        } @else {
            ul.reasons {
                @for (reason, files) in &summary.rejected_by_reason {
                    li { strong { (count(*files)) } " " (visible(reason).replace('_', " ")) }
                }
            }
            details {
                summary { "Which files" }
                (rejected_table(&ingest.rejected))
            }
        }
    }
}

fn rejected_table(rejected: &[Rejected]) -> Markup {
    let table = html! {
        table {
            (head(&[Words("File"), Words("Reason"), Words("What exactly")]))
            tbody {
                @for file in rejected.iter().take(MOST_REJECTED) {
                    tr {
                        td.path { (visible(&file.path)) }
                        td { (visible(&file.reason).replace('_', " ")) }
                        td { (visible(&file.detail)) }
                    }
                }
            }
        }
    };
    html! {
        (scrolled("rejected files", &table))
        @if rejected.len() > MOST_REJECTED {
            p.note { "And " (count((rejected.len() - MOST_REJECTED) as u64)) " more, in " code { "ingest/rejected.jsonl" } "." }
        }
    }
}
