//! The page on which pictures are dropped.

use maud::{PreEscaped, html};
use serde_json::Value;

use crate::assets;
use crate::limits::Limits;
use crate::verdict_words::{percent, size};

/// Returns the page.
pub(crate) fn home(model: &Value, limits: &Limits) -> String {
    let values = [
        ("{{css}}", assets::CSS_PATH.clone()),
        ("{{js}}", assets::JS_PATH.clone()),
        ("{{icon}}", assets::ICON_PATH.clone()),
        ("{{max-file-bytes}}", limits.max_file_bytes().to_string()),
        ("{{max-file}}", size(limits.max_file_bytes())),
        ("{{max-pixels}}", limits.max_megapixels.to_string()),
        ("{{model}}", about_model(model)),
    ];
    let mut page = assets::HTML.to_owned();
    for (placeholder, value) in values {
        page = page.replace(placeholder, &value);
    }
    page
}

/// Describes the model in a definition list.
fn about_model(model: &Value) -> String {
    let text = |value: &Value| value.as_str().map(artifacts::text::visible);
    let band = model["band"]["low"].as_f64().zip(model["band"]["high"].as_f64());
    let verdicts = match band {
        Some((low, high)) if high > low => format!("inconclusive from {} to {}", percent(low), percent(high)),
        Some((threshold, _)) => format!("they change at {}; no range is inconclusive", percent(threshold)),
        None => "not calibrated: they use the threshold 50%".to_owned(),
    };
    let rows = [
        ("Model", text(&model["name"])),
        ("Hash of the weights", text(&model["weights"]).map(|hash| hash.chars().take(12).collect())),
        ("Trained on", trained_on(&model["trained_on"])),
        ("Measured", measured(&model["measured"])),
        ("Verdicts", Some(verdicts)),
    ];
    let rows = rows.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let list: PreEscaped<String> = html! {
        h2 { "The model" }
        dl.facts {
            @for (name, value) in rows { div { dt { (name) } dd { (value) } } }
        }
    };
    list.into_string()
}

fn trained_on(data: &Value) -> Option<String> {
    let source = artifacts::text::visible(data["source"].as_str()?);
    let simulated =
        if data["simulated"] == true { " (simulated: verdicts on other pictures mean nothing)" } else { "" };
    Some(match data["reals"].as_u64().zip(data["fakes"].as_u64()) {
        Some((reals, fakes)) if reals + fakes > 0 => {
            format!("{source}{simulated}: {reals} photographs and {fakes} generated pictures")
        }
        _ => format!("{source}{simulated}"),
    })
}

fn measured(results: &Value) -> Option<String> {
    let share = |name: &str| results[name].as_f64().map(percent);
    let images = results["images"].as_u64()?;
    let dataset = artifacts::text::visible(results["dataset"].as_str().unwrap_or_default());
    let parts = [
        share("false_accusations").map(|share| format!("{share} of the photographs were said to have traces")),
        share("misses").map(|share| format!("{share} of the generated pictures to have none")),
        share("inconclusive").map(|share| format!("{share} of all pictures were inconclusive")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    Some(format!("on {images} pictures of {dataset}: {}", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn page_has_no_placeholders_and_escapes_the_model() {
        let page = home(&json!({ "name": "<script>alert(1)</script>" }), &Limits::default());
        assert!(!page.contains("{{"), "{page}");
        assert!(page.contains("&lt;script&gt;") && page.matches("<script").count() == 1);
    }
}
