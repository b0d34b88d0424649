//! What made this report: configuration, programs, files and their hashes.

use artifacts::Manifest;
use artifacts::progress::bytes;
use maud::{Markup, html};
use serde_json::Value;

use super::widgets::Column::{Number, Words};
use super::widgets::{Section, facts, head, scrolled};
use crate::evidence::Evidence;
use crate::number::{count, duration};
use crate::text::visible;

/// Files beyond these are in the manifest only.
const MOST_FILES: usize = 20;

/// One block for each stage.
pub(crate) fn section(evidence: &Evidence) -> Section {
    let mut stages: Vec<(String, &Manifest)> = Vec::new();
    stages.extend(evidence.ingest.as_ref().map(|ingest| ("ingest".to_owned(), &ingest.manifest)));
    stages.extend(evidence.training.iter().enumerate().map(|(i, run)| (format!("train, run {i}"), &run.manifest)));
    stages.push(("evaluate".to_owned(), &evidence.evaluation.manifest));
    let body = html! { @for (name, manifest) in &stages { (stage(name, manifest)) } };
    let lead = "Each stage's configuration, and the BLAKE3 of everything it read and wrote. Two results with the same \
                hashes are the same result.";
    Section { id: "provenance", title: "Provenance", lead: lead.to_owned(), body }
}

fn stage(name: &str, manifest: &Manifest) -> Markup {
    let program = [
        (
            "Program".to_owned(),
            html! { "Candling " (visible(&manifest.code.program)) ", executable " (hash(&manifest.code.executable.to_string())) },
        ),
        ("Device".to_owned(), html! { (visible(&manifest.device)) }),
        ("Time".to_owned(), html! { (duration(manifest.seconds)) }),
    ];
    let mut configuration = Vec::new();
    flatten("", &manifest.config, &mut configuration);
    html! {
        details.stage {
            summary { (name) " " span.note { (duration(manifest.seconds)) } }
            (facts(&program))
            h4 { "Configuration" }
            dl.facts.configuration {
                @for (key, value) in &configuration { div { dt { code { (key) } } dd { code { (value) } } } }
            }
            @if !manifest.inputs.is_empty() {
                h4 { "Read" }
                dl.facts { @for (input, digest) in &manifest.inputs { div { dt { (visible(input)) } dd { (hash(&digest.to_string())) } } } }
            }
            h4 { "Wrote" }
            (outputs(manifest))
        }
    }
}

fn outputs(manifest: &Manifest) -> Markup {
    let table = html! {
        table {
            (head(&[Words("File"), Number("Size"), Words("BLAKE3")]))
            tbody {
                @for (path, file) in manifest.outputs.iter().take(MOST_FILES) {
                    tr { td.path { (visible(path)) } td.number { (bytes(file.bytes)) } td { (hash(&file.blake3.to_string())) } }
                }
            }
        }
    };
    html! {
        (scrolled("files written", &table))
        @if manifest.outputs.len() > MOST_FILES {
            p.note { "And " (count((manifest.outputs.len() - MOST_FILES) as u64)) " more files, in its " code { "manifest.json" } "." }
        }
    }
}

fn hash(digits: &str) -> Markup {
    html! { code.hash { (digits) } }
}

/// A configuration as dotted keys and values.
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
