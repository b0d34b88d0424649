//! The model card: `README.md` with metadata for the Hugging Face hub.

use std::fmt::Write;

use artifacts::schema::{Judged, Metric, Metrics};
use artifacts::text::dataset_name;
use serde_json::Value;

use crate::config::Config;
use crate::escape::{markdown, yaml};
use crate::format_number::{compact, count, ends, score};
use crate::judged;
use crate::limitations::limitations;
use crate::run_results::RunResults;
use crate::summary::{Summary, evaluated_dataset, report_title};
use crate::training_settings::settings;

/// Renders the model card.
pub(crate) fn render(results: &RunResults, config: &Config) -> String {
    let title = report_title(results, config);
    let mut card = metadata(results, &title);
    let summary = Summary::of(results);
    let _ = write!(card, "\n# {}\n\n{}\n", markdown(&title), markdown(&summary.performance));
    if let Some(verdicts) = &summary.verdicts {
        let _ = write!(card, "\n{}\n", markdown(verdicts));
    }
    if let Some(warning) = &summary.warning {
        let _ = write!(card, "\n**{}**\n", markdown(warning));
    }
    card.push_str(&limitations_section(results));
    match &results.evaluation.metrics.judged {
        None => card.push_str(usage_section()),
        Some(judged) => card.push_str(&predictions_section(judged)),
    }
    card.push_str(&scores_section(&results.evaluation.metrics, &summary));
    card.push_str(&training_section(results));
    card.push_str("\n## Provenance\n\n");
    let _ = writeln!(card, "- Made by Candling {}", markdown(&results.evaluation.manifest.code.program));
    for run in &results.evaluation.metrics.runs {
        if let Some(weights) = &run.weights {
            let _ = writeln!(card, "- Weights of run {}: BLAKE3 `{weights}`", run.run);
        }
    }
    card.push_str("- Full report with figures and all hashes: `index.html` in the same folder\n");
    card
}

/// Returns the YAML front matter of Hugging Face's model card specification, with the scores under `model-index`.
fn metadata(results: &RunResults, title: &str) -> String {
    let metrics = &results.evaluation.metrics;
    let mut yaml_text = String::from("---\nlibrary_name: candling\npipeline_tag: image-classification\n");
    if let Some(base) = base_model(results) {
        let _ = writeln!(yaml_text, "base_model: {}", yaml(&base));
    }
    yaml_text.push_str("tags:\n- image-classification\n- ai-generated-image-detection\n- image-forensics\n");
    if metrics.simulated {
        yaml_text.push_str("- simulated-data\n");
    }
    yaml_text.push_str("metrics:\n- accuracy\n- roc_auc\n- f1\n");
    let _ = writeln!(yaml_text, "model-index:\n- name: {}\n  results:", yaml(title));
    yaml_text.push_str("  - task:\n      type: image-classification\n      name: Real or generated\n");
    let _ = writeln!(yaml_text, "    dataset:\n      name: {}", yaml(&evaluated_dataset(metrics)));
    let _ =
        writeln!(yaml_text, "      type: {}\n      split: {}", yaml(&dataset_name(&metrics.dataset)), metrics.split);
    let defined = Metric::headline().filter_map(|metric| {
        Some((metric, metric.informative_value(&metrics.headline).filter(|value| value.is_finite())?))
    });
    let entries: String = defined.fold(String::new(), |mut text, (metric, value)| {
        let _ = writeln!(
            text,
            "    - type: {}\n      name: {}\n      value: {}",
            metric.key,
            metric.name,
            compact(value, 4)
        );
        text
    });
    // A key without entries would be null, which is not valid metadata.
    if entries.is_empty() {
        yaml_text.push_str("    metrics: []\n")
    } else {
        let _ = write!(yaml_text, "    metrics:\n{entries}");
    }
    yaml_text.push_str("---\n");
    yaml_text
}

/// Returns the hub repository of the initial weights, if they came from the hub.
fn base_model(results: &RunResults) -> Option<String> {
    let weights = results.training.first()?.manifest.config.get("weights").and_then(Value::as_str)?;
    let repository = weights.strip_prefix("hf:")?;
    let mut parts = repository.split('/');
    Some(format!("{}/{}", parts.next()?, parts.next()?))
}

fn limitations_section(results: &RunResults) -> String {
    let mut text = String::from("\n## Limitations\n\nDo not rely on this model for:\n\n");
    for limitation in limitations(results) {
        let _ = writeln!(text, "- **{}**: {}.", markdown(&limitation.topic), markdown(&limitation.reason));
    }
    text
}

fn usage_section() -> &'static str {
    "\n## Usage\n\n\
     `model.safetensors` has the weights under torchvision's tensor names. Class 0 is real, class 1 is fake. FOLDER is \
     the run, or what `candling export` made of it. \
     `preprocessor_config.json` describes how images are resized and normalised.\n\n\
     ```sh\ncandling predict --model FOLDER PICTURE\n```\n"
}

/// Describes predictions that were read from a file.
fn predictions_section(judged: &Judged) -> String {
    let mut text = String::from("\n## Predictions\n\nRead from a file; Candling did not run the detector.\n\n");
    let facts = [
        ("Detector", judged.model.clone()),
        ("Files", judged::files(judged)),
        ("Scores", judged::score_kind(judged)),
        ("Threshold", judged::threshold(judged)),
        ("Coverage", judged.coverage()),
    ];
    for (name, fact) in facts {
        let _ = writeln!(text, "- {name}: {}", markdown(&fact));
    }
    text
}

fn scores_section(metrics: &Metrics, summary: &Summary) -> String {
    let mut text = format!(
        "\n## Results\n\nMeasured on {} images of the {} split of {}. Fake is the positive class.\n\n",
        count(metrics.headline.n),
        metrics.split,
        markdown(&evaluated_dataset(metrics))
    );
    text.push_str("| Score | Value | 95% confidence interval |\n| --- | --- | --- |\n");
    for metric in Metric::listed() {
        let interval = metrics.intervals.get(metric.key);
        let range = interval.map(|interval| match ends(interval) {
            Some([low, high]) => format!("{low} to {high}"),
            None => "none: the same in every resample".to_owned(),
        });
        let at = if metric.depends_on_threshold() { " at threshold 0.5" } else { "" };
        let value = score(metric.informative_value(&metrics.headline));
        let _ = writeln!(text, "| {}{at} | {value} | {} |", metric.name, range.unwrap_or_default());
    }
    text.push('\n');
    for reason in Metric::listed().filter_map(|metric| metrics.why_undefined(metric)) {
        let _ = writeln!(text, "- {reason}.");
    }
    for sentence in &summary.uncertainty {
        let _ = writeln!(text, "- {}", markdown(sentence));
    }
    text
}

fn training_section(results: &RunResults) -> String {
    let Some(run) = results.training.first() else { return String::new() };
    let mut text = String::from("\n## Training\n\n");
    if let Some(ingest) = &results.ingest {
        let [height, width] = ingest.summary.size;
        let _ =
            writeln!(text, "- Data: {}, {width} × {height} pixels", markdown(&dataset_name(&ingest.summary.source)));
        if let Some(described) = ingest.summary.training_reconstructions() {
            let _ = writeln!(text, "- Pseudo-fakes: {described}");
        }
    }
    for (name, value) in settings(&run.manifest.config) {
        let _ = writeln!(text, "- {name}: {}", markdown(&value));
    }
    text.push_str("\n### All settings\n\n");
    if let Value::Object(config) = &run.manifest.config {
        for (key, value) in config.iter().filter(|(_, value)| !value.is_null() && !value.is_object()) {
            // A path of initial weights would name folders of the author.
            let value = value.as_str().map_or_else(|| value.to_string(), dataset_name);
            let _ = writeln!(text, "- {}: {}", markdown(key), markdown(&value));
        }
    }
    text
}
