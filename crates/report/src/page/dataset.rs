//! The data set: its splits, its properties and the files that could not be used.

use std::collections::BTreeSet;

use artifacts::Label;
use artifacts::schema::{IngestSummary, Rejected};
use artifacts::text::dataset_name;
use maud::{Markup, html};

use crate::escape::visible;
use crate::format_number::{count, count_noun, duration, share};
use crate::html::definition_list::definition_list;
use crate::html::section::Section;
use crate::html::table::Column::{Number, Text};
use crate::html::table::HtmlTable;
use crate::run_results::{IngestResults, RunResults};

/// The maximum number of rejected files that are shown. The others are in `rejected.jsonl` only.
const MAX_REJECTED: usize = 100;

/// Renders the section. Returns `None` if the run ingested no data.
pub(crate) fn section(results: &RunResults) -> Option<Section> {
    let ingest = results.ingest.as_ref()?;
    let summary = &ingest.summary;
    let lead = format!(
        "{}{} from {}. {} of them could be used.",
        if summary.simulated { "A simulated data set: " } else { "" },
        count_noun(summary.seen, "file"),
        visible(&dataset_name(&summary.source)),
        if summary.rejected == 0 { "All".to_owned() } else { format!("All except {}", count(summary.rejected)) }
    );
    let body = html! {
        (splits(summary))
        (definition_list(&properties(ingest)))
        (rejected(ingest))
    };
    Some(Section { id: "data", title: "Data", lead, body })
}

fn splits(summary: &IngestSummary) -> Markup {
    let columns = [Text("Split"), Number("Real"), Number("Fake"), Number("Share fake"), Text("Formats")];
    let rows = html! {
        @for (split, counts) in &summary.splits {
            @let [real, fake] = Label::ALL.map(|label| counts.labels.get(&label).copied().unwrap_or(0));
            tr {
                th scope="row" { (split) }
                td.number { (count(real)) }
                td.number { (count(fake)) }
                td.number { (share(fake, real + fake)) }
                td {
                    @if counts.formats.is_empty() { "removed" }
                    @for (i, (format, images)) in counts.formats.iter().enumerate() {
                        @if i > 0 { ", " }
                        (visible(format)) " " (count(*images))
                    }
                }
            }
        }
    };
    html! { (HtmlTable::captioned("splits-caption", html! { "Images by split" }, &columns, rows).class("compact")) }
}

fn properties(ingest: &IngestResults) -> Vec<(String, Markup)> {
    let summary = &ingest.summary;
    let [height, width] = summary.size;
    let mut properties = vec![
        (
            "Source".to_owned(),
            html! { (visible(&dataset_name(&summary.source))) @if summary.simulated { " " span.badge { "simulated" } } },
        ),
        ("Stored size".to_owned(), html! { (width) " × " (height) " pixels" }),
        (
            "Time to ingest".to_owned(),
            html! { (duration(ingest.manifest.seconds)) ", " (count(summary.images_per_second.round() as u64)) " images/s" },
        ),
    ];
    let generators: BTreeSet<&str> = summary
        .splits
        .values()
        .flat_map(|split| split.generators.keys())
        .map(String::as_str)
        .filter(|name| !name.is_empty())
        .collect();
    if !generators.is_empty() {
        let names: Vec<String> = generators.iter().map(|name| visible(name)).collect();
        properties.push(("Generators".to_owned(), html! { (names.join(", ")) }));
    }
    if let Some(described) = summary.training_reconstructions() {
        properties.push(("Pseudo-fakes".to_owned(), html! { (described) }));
    }
    properties
}

fn rejected(ingest: &IngestResults) -> Markup {
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
                summary { "List of files" }
                (rejected_table(&ingest.rejected))
            }
        }
    }
}

fn rejected_table(rejected: &[Rejected]) -> Markup {
    let columns = [Text("File"), Text("Reason"), Text("Details")];
    let rows = html! {
        @for file in rejected.iter().take(MAX_REJECTED) {
            tr {
                td.path { (visible(&file.path)) }
                td { (visible(&file.reason).replace('_', " ")) }
                td { (visible(&file.detail)) }
            }
        }
    };
    html! {
        (HtmlTable::labelled("files that could not be used", &columns, rows))
        @if rejected.len() > MAX_REJECTED {
            p.note {
                (count((rejected.len() - MAX_REJECTED) as u64)) " more files are listed in " code { "ingest/rejected.jsonl" } "."
            }
        }
    }
}
