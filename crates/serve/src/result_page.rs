//! A result as a page of its own: the answer to the form, and the record to download and print.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use crate::assets;
use crate::checker::{Checked, EvidenceImage};
use crate::provenance_section::provenance;
use crate::shown_text::{first_upper, strings, text, visible};
use crate::verdict_words::{of_branch, of_verdict, percent};

/// Whether the page leads back to the page on which pictures are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Back {
    /// With a link.
    Home,
    /// Without a link, for a file on disk.
    None,
}

/// Returns a result as a page that needs no other file.
pub(crate) fn document(checked: &Checked, model: &Value, back: Back) -> String {
    let title = text(&checked.result["path"]);
    layout(&format!("Candling: {title}"), back, &article(checked, model))
}

/// Returns a page that says why a file was not checked.
pub(crate) fn problem(message: &str) -> String {
    let content = html! {
        article.result {
            h2 { "The picture was not checked" }
            p.failure { (first_upper(message)) "." }
        }
    };
    layout("Candling: not checked", Back::Home, &content)
}

fn layout(title: &str, back: Back, content: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                // Browsers ask for an icon otherwise.
                link rel="icon" href="data:,";
                style { (PreEscaped(assets::CSS)) }
            }
            body.record {
                main {
                    @if back == Back::Home {
                        p.back { a href="/" { "Check another picture" } }
                    }
                    (content)
                }
                footer {
                    p { "Made by Candling " (env!("CARGO_PKG_VERSION")) " on this machine. A score is evidence, not proof." }
                }
            }
        }
    };
    page.into_string()
}

/// The result as an article. The script of the page takes it from the document.
fn article(checked: &Checked, model: &Value) -> Markup {
    let result = &checked.result;
    html! {
        article.result {
            h2 { (text(&result["path"])) }
            @if let Some(error) = result["error"].as_str() {
                p.failure { "This file has no result: " (visible(error)) "." }
            } @else {
                (verdict(result, model))
                (warnings(result))
                (stability(result))
                (pictures(checked))
                (branches(result))
            }
            @if result["error"].is_null() || !result["declares"].as_array().is_none_or(Vec::is_empty) {
                (provenance(checked))
            }
            (facts(result, model))
        }
    }
}

fn verdict(result: &Value, model: &Value) -> Markup {
    let words = of_verdict(result["verdict"].as_str().unwrap_or_default());
    let calibrated = result["p_fake_calibrated"].as_f64();
    let score = calibrated.or(result["p_fake"].as_f64());
    let band = model["band"]["low"].as_f64().zip(model["band"]["high"].as_f64());
    html! {
        div class={ "verdict " (words.class) } {
            p.title { (words.title) }
            p.meaning { (words.meaning) }
            @if let Some(score) = score {
                p.score {
                    "Probability that the picture is generated, as the model sees it: "
                    strong { (percent(score)) }
                    @if calibrated.is_none() { " (not calibrated)" }
                }
                (scale(score, band.filter(|_| calibrated.is_some())))
            }
            (validation(result))
        }
    }
}

/// Draws the score on a scale from 0 to 1 with the inconclusive range.
fn scale(score: f64, band: Option<(f64, f64)>) -> Markup {
    const WIDTH: f64 = 400.0;
    let at = |value: f64| format!("{:.1}", value.clamp(0.0, 1.0) * WIDTH + 10.0);
    let range = |(low, high): (f64, f64)| match high > low {
        true => format!("; inconclusive from {} to {}", percent(low), percent(high)),
        false => format!("; the verdict changes at {}", percent(low)),
    };
    let label = format!("Score {}{}", percent(score), band.map_or(String::new(), range));
    html! {
        svg.scale viewBox="0 0 420 42" role="img" aria-label=(label) {
            rect.track x="10" y="16" width=(WIDTH) height="10" rx="5" {}
            @if let Some((low, high)) = band {
                rect.band x=(at(low)) y="16" width=(format!("{:.1}", ((high - low) * WIDTH).max(1.5))) height="10" {}
            }
            line.mark x1=(at(score)) x2=(at(score)) y1="9" y2="33" {}
        }
        // Outside of the drawing, which narrow windows make smaller.
        p.ends aria-hidden="true" { span { "0%: no traces" } span { "100%: traces" } }
        @match band {
            Some((low, high)) if high > low => {
                p.note { "The shaded range from " (percent(low)) " to " (percent(high)) " is inconclusive." }
            }
            Some((threshold, _)) => {
                p.note { "The verdict changes at " (percent(threshold)) ", the thin line. No range is inconclusive." }
            }
            None => {}
        }
    }
}

fn warnings(result: &Value) -> Markup {
    let warnings: Vec<&str> = strings(&result["warnings"]);
    html! {
        @if !warnings.is_empty() {
            section.warnings {
                h3 { "Warnings" }
                ul { @for warning in warnings { li { (first_upper(&visible(warning))) "." } } }
            }
        }
    }
}

fn pictures(checked: &Checked) -> Markup {
    html! {
        @if !checked.images.is_empty() || checked.picture.is_some() {
            section.evidence {
                h3 { @if checked.images.is_empty() { "The picture" } @else { "Where the model found evidence" } }
                div.images {
                    @if let Some(picture) = &checked.picture {
                        figure.picture { img src=(data_uri("jpeg", picture)) alt="The checked picture"; }
                    }
                    @for image in &checked.images { (evidence(image)) }
                }
                @if !checked.images.is_empty() {
                    p.note { "Yellow parts are the strongest evidence, and dark blue parts have none. The map shows what \
                        moved the model, which need not be what was generated." }
                }
            }
        }
    }
}

/// What validation showed at this score.
fn validation(result: &Value) -> Markup {
    let known = &result["validation"];
    let number = |name: &str| known[name].as_u64();
    let range = known["low"].as_f64().zip(known["high"].as_f64());
    html! {
        @if let (Some(images), Some((low, high))) = (number("images"), range) {
            p.validation {
                "When the model was tested, " (images) " pictures had a score between " (percent(low)) " and "
                (percent(high)) ". "
                @if let Some(wrong) = known["wrong"].as_f64() {
                    "The verdict was wrong for " strong { (percent(wrong)) } " of them"
                    @if let Some((low, high)) = known["wrong_interval"]["low"].as_f64()
                        .zip(known["wrong_interval"]["high"].as_f64()) {
                        " (95% interval " (percent(low)) " to " (percent(high)) ")"
                    }
                    "."
                } @else {
                    (number("fakes").unwrap_or(0)) " of them were generated, and " (number("reals").unwrap_or(0)) " were not."
                }
            }
        } @else if let Some(why) = result["validation_missing"].as_str() {
            p.note { "How often the verdict is wrong at this score is not known: " (visible(why)) "." }
        }
    }
}

/// How the score changes with the picture.
fn stability(result: &Value) -> Markup {
    let known = &result["stability"];
    let range = known["low"].as_f64().zip(known["high"].as_f64());
    let changes = known["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        @if let Some((low, high)) = range {
            section.stability {
                h3 { "When the picture is changed a little" }
                p {
                    @if known["flips"] == true {
                        "The verdict changes when the picture is compressed, scaled or cropped a little, so it is \
                        inconclusive. On the unchanged picture it would be: "
                        (of_verdict(known["unchanged"].as_str().unwrap_or_default()).title.to_lowercase()) ". "
                    } @else {
                        "The verdict stays the same when the picture is compressed, scaled or cropped a little. "
                    }
                    "The score is between " (percent(low)) " and " (percent(high)) "."
                }
                details open {
                    summary { "Each change" }
                    table {
                        thead { tr { th scope="col" { "Change" } th scope="col" { "Score" } th scope="col" { "Verdict" } } }
                        tbody {
                            @for change in changes {
                                tr {
                                    th scope="row" { (text(&change["change"])) }
                                    td { (change["p_fake"].as_f64().map_or(String::new(), percent)) }
                                    td { (of_verdict(change["verdict"].as_str().unwrap_or_default()).title) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn evidence(image: &EvidenceImage) -> Markup {
    let side = if image.class == "fake" { "generation" } else { "the absence of traces" };
    html! {
        figure.heat-map {
            img.overlay src=(data_uri("png", &image.overlay)) alt="The picture with the heat map over it";
            figcaption {
                @if !image.branch.is_empty() { (of_branch(&image.branch)) ": " }
                "evidence for " (side)
            }
        }
    }
}

fn branches(result: &Value) -> Markup {
    html! {
        @if let Some(branches) = result["branches"].as_object().filter(|branches| !branches.is_empty()) {
            section.branches {
                h3 { "Each line of evidence" }
                p.note { "The model joins these into its score. Where they disagree, trust the score less." }
                table {
                    thead { tr { th scope="col" { "Evidence" } th scope="col" { "Probability of generation" } } }
                    tbody {
                        @for (branch, score) in branches {
                            tr {
                                th scope="row" { (of_branch(branch)) }
                                td { @match score.as_f64() { Some(score) => (percent(score)), None => "nothing to say" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn facts(result: &Value, model: &Value) -> Markup {
    let size = result["width"].as_u64().zip(result["height"].as_u64());
    let rows = [
        ("Format", result["format"].as_str().map(visible)),
        ("Size", size.map(|(width, height)| format!("{width} x {height} pixels"))),
        ("Hash of the file (BLAKE3)", result["file"].as_str().map(visible)),
        ("Model", model["name"].as_str().or(model["architecture"].as_str()).map(visible)),
        ("Hash of the weights (BLAKE3)", result["model"].as_str().map(visible)),
        ("Version of Candling", Some(env!("CARGO_PKG_VERSION").to_owned())),
    ];
    let rows = rows.into_iter().filter_map(|(name, value)| Some((name, value?)));
    html! {
        details.about open {
            summary { "File and model" }
            dl.facts { @for (name, value) in rows { div { dt { (name) } dd { (value) } } } }
        }
    }
}

fn data_uri(format: &str, bytes: &[u8]) -> String {
    format!("data:image/{format};base64,{}", STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HOSTILE: &str = "</style><script>alert(1)</script>\" onerror=\"x\u{202e}";

    #[test]
    fn verdict_has_the_class_of_its_style() {
        let result =
            json!({ "path": "a.jpg", "verdict": "fake", "declares": [{ "kind": "x", "text": "one\ntwo\u{7}" }] });
        let page = document(&Checked { result, ..Checked::default() }, &Value::Null, Back::None);
        assert!(page.contains("class=\"verdict traces\""), "{page}");
        assert!(page.contains("one\ntwo\u{fffd}"), "{page}");
    }

    #[test]
    fn everything_from_files_is_escaped() {
        let result = json!({
            "path": HOSTILE, "verdict": "fake", "p_fake": 0.9, "p_fake_calibrated": 0.8, "warnings": [HOSTILE],
            "declares": [{ "kind": HOSTILE, "text": HOSTILE }], "branches": { HOSTILE: 0.5 }, "format": HOSTILE,
            "file": HOSTILE, "model": HOSTILE, "error": null, "validation_missing": HOSTILE,
            "provenance": { "parameters": [{ "tool": HOSTILE, "prompt": HOSTILE }] },
            "stability": { "low": 0.1, "high": 0.2, "changes": [{ "change": HOSTILE, "p_fake": 0.1, "verdict": HOSTILE }] },
        });
        let images = vec![EvidenceImage {
            branch: HOSTILE.to_owned(),
            class: HOSTILE.to_owned(),
            overlay: vec![1],
            heat: vec![2],
            region: [0.0, 0.0, 1.0, 1.0],
        }];
        let checked =
            Checked { result, record: Value::Null, origin: vec![HOSTILE.to_owned()], images, picture: Some(vec![2]) };
        let page = document(&checked, &json!({ "name": HOSTILE, "band": { "low": 0.2, "high": 0.6 } }), Back::Home);
        assert!(!page.contains("<script") && !page.contains("\" onerror") && !page.contains('\u{202e}'), "{page}");
        assert_eq!(page.matches("</style>").count(), 1);
        let broken = Checked { result: json!({ "path": HOSTILE, "error": HOSTILE }), ..Checked::default() };
        assert!(!document(&broken, &Value::Null, Back::None).contains("<script"));
        assert!(!problem(HOSTILE).contains("<script"));
    }
}
