//! How the results were made: configuration, program, files and their hashes.

use artifacts::Manifest;
use artifacts::progress::bytes;
use maud::{Markup, html};
use serde_json::Value;

use crate::escape::visible;
use crate::format_number::{count, duration};
use crate::html::definition_list::definition_list;
use crate::html::section::Section;
use crate::html::table::Column::{Number, Text};
use crate::html::table::HtmlTable;
use crate::run_results::RunResults;

/// The maximum number of output files that are shown. The others are in the manifest only.
const MAX_FILES: usize = 20;

/// Renders a block for each stage.
pub(crate) fn section(results: &RunResults) -> Section {
    let mut stages: Vec<(String, &Manifest)> = Vec::new();
    stages.extend(results.ingest.as_ref().map(|ingest| ("ingest".to_owned(), &ingest.manifest)));
    stages.extend(results.training.iter().enumerate().map(|(i, run)| (format!("train, run {i}"), &run.manifest)));
    stages.push((results.evaluation.manifest.stage.clone(), &results.evaluation.manifest));
    let body = html! { @for (name, manifest) in &stages { (stage(name, manifest)) } };
    let lead = "The configuration of each stage and the BLAKE3 hashes of its inputs and outputs. Equal hashes mean identical \
                files.";
    Section { id: "provenance", title: "Provenance", lead: lead.to_owned(), body }
}

fn stage(name: &str, manifest: &Manifest) -> Markup {
    let program = [
        (
            "Program".to_owned(),
            html! { "Candling " (visible(&manifest.code.program)) ", executable " (hash(&manifest.code.executable)) },
        ),
        ("Device".to_owned(), html! { (visible(&manifest.device)) }),
        ("Time".to_owned(), html! { (duration(manifest.seconds)) }),
    ];
    let mut configuration = Vec::new();
    flatten("", &manifest.config, &mut configuration);
    let inputs: Vec<(String, Markup)> =
        manifest.inputs.iter().map(|(input, digest)| (visible(input), hash(digest))).collect();
    html! {
        details.stage {
            summary { (name) " " span.note { (duration(manifest.seconds)) } }
            (definition_list(&program))
            h4 { "Configuration" }
            dl.facts.configuration {
                @for (key, value) in &configuration { div { dt { code { (key) } } dd { code { (value) } } } }
            }
            @if !inputs.is_empty() {
                h4 { "Inputs" }
                (definition_list(&inputs))
            }
            h4 { "Outputs" }
            (outputs(manifest))
        }
    }
}

fn outputs(manifest: &Manifest) -> Markup {
    let columns = [Text("File"), Number("Size"), Text("BLAKE3")];
    let rows = html! {
        @for (path, file) in manifest.outputs.iter().take(MAX_FILES) {
            tr { td.path { (visible(path)) } td.number { (bytes(file.bytes)) } td { (hash(&file.blake3)) } }
        }
    };
    html! {
        (HtmlTable::labelled("output files", &columns, rows))
        @if manifest.outputs.len() > MAX_FILES {
            p.note {
                (count((manifest.outputs.len() - MAX_FILES) as u64)) " more files are listed in the stage's "
                code { "manifest.json" } "."
            }
        }
    }
}

fn hash(hash: &artifacts::hash::Hash) -> Markup {
    html! { code.hash { (hash) } }
}

/// Appends the leaves of a configuration as dotted keys and values.
fn flatten(prefix: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let key = if prefix.is_empty() { visible(key) } else { format!("{prefix}.{}", visible(key)) };
                flatten(&key, value, into);
            }
        }
        Value::String(text) => into.push((prefix.to_owned(), visible(text))),
        Value::Null => into.push((prefix.to_owned(), "not set".to_owned())),
        other => into.push((prefix.to_owned(), visible(&other.to_string()))),
    }
}
