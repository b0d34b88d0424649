//! The page on which pictures are dropped.

use maud::{PreEscaped, html};
use serde_json::Value;

use crate::assets;
use crate::limits::Limits;
use crate::verdict_words::size;

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
    let text = |name: &str| model[name].as_str().map(artifacts::text::visible);
    let percent = |value: &Value| value.as_f64().map(|value| format!("{:.0}%", value * 100.0));
    let band = percent(&model["band"]["low"]).zip(percent(&model["band"]["high"]));
    let rows = [
        ("Model", text("name").or_else(|| text("architecture"))),
        ("Weights", text("weights").map(|hash| hash.chars().take(12).collect())),
        (
            "Verdicts",
            Some(match band {
                Some((low, high)) => format!("inconclusive from {low} to {high}, calibrated on validation pictures"),
                None => "not calibrated: they use the threshold 50%".to_owned(),
            }),
        ),
    ];
    let rows = rows.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let list: PreEscaped<String> = html! {
        dl.facts {
            @for (name, value) in rows { div { dt { (name) } dd { (value) } } }
        }
    };
    list.into_string()
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
