//! The model card: `README.md` with the metadata that Hugging Face reads.

use std::fmt::Write;

use artifacts::schema::{Metric, Metrics};
use serde_json::Value;

use crate::answer::{Answer, answer, dataset};
use crate::config::Config;
use crate::evidence::Evidence;
use crate::number::{compact, count, score};
use crate::page;
use crate::text::{markdown, yaml};

/// The whole card.
pub(crate) fn render(evidence: &Evidence, config: &Config) -> String {
    let title = page::title(evidence, config);
    let mut card = metadata(evidence, &title);
    let answer = answer(evidence);
    let metrics = &evidence.evaluation.metrics;
    let _ = write!(card, "\n# {}\n\n{}\n", markdown(&title), markdown(&answer.verdict));
    if let Some(caveat) = &answer.caveat {
        let _ = write!(card, "\n**{}**\n", markdown(caveat));
    }
    card.push_str(&limits(&answer));
    card.push_str(&how_to_use());
    card.push_str(&results(metrics, &answer));
    card.push_str(&training(evidence));
    card.push_str("\n## Provenance\n\n");
    let _ = writeln!(card, "- Made by Candling {}", markdown(&evidence.evaluation.manifest.code.version));
    for run in &metrics.runs {
        if let Some(weights) = &run.weights {
            let _ = writeln!(card, "- Weights of run {}: BLAKE3 `{weights}`", run.run);
        }
    }
    card.push_str("- The whole report, with figures and all hashes, is `index.html` beside this file\n");
    card
}

/// YAML front matter as in Hugging Face's model card specification, with the results under `model-index`.
fn metadata(evidence: &Evidence, title: &str) -> String {
    let metrics = &evidence.evaluation.metrics;
    let mut yaml_text = String::from("---\nlibrary_name: candling\npipeline_tag: image-classification\n");
    if let Some(base) = base_model(evidence) {
        let _ = writeln!(yaml_text, "base_model: {}", yaml(&base));
    }
    yaml_text.push_str("tags:\n- image-classification\n- ai-generated-image-detection\n- image-forensics\n");
    if metrics.simulated {
        yaml_text.push_str("- simulated-data\n");
    }
    yaml_text.push_str("metrics:\n- accuracy\n- roc_auc\n- f1\n");
    let _ = writeln!(yaml_text, "model-index:\n- name: {}\n  results:", yaml(title));
    yaml_text.push_str("  - task:\n      type: image-classification\n      name: Real or generated\n");
    let _ = writeln!(yaml_text, "    dataset:\n      name: {}", yaml(&dataset(metrics)));
    let _ = writeln!(yaml_text, "      type: {}\n      split: {}", yaml(&metrics.dataset), metrics.split);
    let defined = Metric::headline().filter_map(|metric| {
        Some((metric, metric.informative_value(&metrics.headline).filter(|value| value.is_finite())?))
    });
    let results: String = defined.fold(String::new(), |mut text, (metric, value)| {
        let _ = writeln!(
            text,
            "    - type: {}\n      name: {}\n      value: {}",
            metric.key,
            metric.name,
            compact(value, 4)
        );
        text
    });
    // An empty list would not be valid metadata, so there is one only where a score is defined.
    if results.is_empty() {
        yaml_text.push_str("    metrics: []\n")
    } else {
        let _ = write!(yaml_text, "    metrics:\n{results}");
    }
    yaml_text.push_str("---\n");
    yaml_text
}

/// The hub's name of the weights that training started from, if it was a hub's.
fn base_model(evidence: &Evidence) -> Option<String> {
    let weights = evidence.training.first()?.manifest.config.get("weights").and_then(Value::as_str)?;
    let repository = weights.strip_prefix("hf:")?;
    let mut parts = repository.split('/');
    Some(format!("{}/{}", parts.next()?, parts.next()?))
}

fn limits(answer: &Answer) -> String {
    let mut text = String::from("\n## What it must not be trusted for\n\n");
    for limit in &answer.limits {
        let _ = writeln!(text, "- **{}**: {}.", markdown(&limit.what), markdown(&limit.why));
    }
    text
}

fn how_to_use() -> String {
    "\n## How to use it\n\n\
     `model.safetensors` holds the weights under torchvision's tensor names; class 0 is real, class 1 is fake. \
     `preprocessor_config.json` says how an image is resized and normalised.\n\n\
     ```sh\ncargo xtask predict PATH\n```\n"
        .to_owned()
}

fn results(metrics: &Metrics, answer: &Answer) -> String {
    let mut text = format!(
        "\n## Results\n\n{} images of the {} split of {}, fake is the positive class.\n\n",
        count(metrics.headline.n),
        metrics.split,
        markdown(&dataset(metrics))
    );
    text.push_str("| Score | Value | 95% interval |\n| --- | --- | --- |\n");
    for metric in Metric::listed() {
        let interval = metrics.intervals.get(metric.key);
        let range = interval.map(|i| format!("{} to {}", score(Some(i.low)), score(Some(i.high))));
        let at = if metric.depends_on_threshold() { " at threshold 0.5" } else { "" };
        let value = score(metric.informative_value(&metrics.headline));
        let _ = writeln!(text, "| {}{at} | {value} | {} |", metric.name, range.unwrap_or_default());
    }
    text.push('\n');
    for reason in Metric::listed().filter_map(|metric| metric.why_undefined(&metrics.headline)) {
        let _ = writeln!(text, "- {reason}.");
    }
    for sentence in &answer.certainty {
        let _ = writeln!(text, "- {}", markdown(sentence));
    }
    text
}

fn training(evidence: &Evidence) -> String {
    let Some(run) = evidence.training.first() else { return String::new() };
    let mut text = String::from("\n## Training\n\n");
    if let Some(ingest) = &evidence.ingest {
        let [height, width] = ingest.summary.size;
        let _ = writeln!(text, "- Data: {}, {width} × {height} pixels", markdown(&ingest.summary.source));
    }
    if let Value::Object(config) = &run.manifest.config {
        for (key, value) in config.iter().filter(|(_, value)| !value.is_null() && !value.is_object()) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let _ = writeln!(text, "- {}: {}", markdown(key), markdown(&value));
        }
    }
    text
}
