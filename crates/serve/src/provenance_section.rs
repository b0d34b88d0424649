//! The part of a result that says what the file declares about itself.

use maud::{Markup, html};
use serde_json::Value;

use crate::checker::Checked;
use crate::shown_text::{lines, text, visible};

/// What the file declares, apart from the score.
pub(crate) fn provenance(checked: &Checked) -> Markup {
    let result = &checked.result;
    let declares = result["declares"].as_array().map(Vec::as_slice).unwrap_or_default();
    let parameters = result["provenance"]["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        section.provenance {
            h3 { "What the file says about itself" }
            p.note { "This does not influence the score. Anyone can write such statements, and saving a picture again \
                removes them." }
            @if !checked.origin.is_empty() {
                ul { @for sentence in &checked.origin { li { (lines(sentence)) } } }
                @for known in parameters { (settings(known)) }
            } @else if declares.is_empty() {
                p { "Nothing: the file has neither Content Credentials nor a statement that it was generated." }
            } @else {
                dl.facts {
                    @for declared in declares {
                        div { dt { (declaration(&text(&declared["kind"]))) } dd { (lines(declared["text"].as_str().unwrap_or_default())) } }
                    }
                }
            }
        }
    }
}

/// The settings of a generator.
fn settings(parameters: &Value) -> Markup {
    const NAMES: [(&str, &str); 11] = [
        ("tool", "Program"),
        ("version", "Version"),
        ("model", "Model"),
        ("prompt", "Prompt"),
        ("negative_prompt", "Negative prompt"),
        ("seed", "Seed"),
        ("steps", "Steps"),
        ("sampler", "Sampler"),
        ("guidance", "Guidance"),
        ("size", "Size"),
        ("place", "Place in the file"),
    ];
    let rows = NAMES.iter().filter_map(|(key, name)| Some((name, lines(parameters[*key].as_str()?))));
    html! {
        details open {
            summary { "Settings of the generator" }
            dl.facts { @for (name, value) in rows { div { dt { (name) } dd { (value) } } } }
        }
    }
}

fn declaration(kind: &str) -> String {
    match kind {
        "generator_parameters" => "Settings of an image generator".to_owned(),
        "digital_source_type" => "Declared as generated (IPTC)".to_owned(),
        "content_credentials" => "Content Credentials (C2PA)".to_owned(),
        other => visible(other),
    }
}
