//! The training runs.

use maud::{Markup, html};

use crate::escape::visible;
use crate::figures::Figures;
use crate::format_number::{UNDEFINED, compact, count_noun, duration, percent, score};
use crate::html::definition_list::definition_list;
use crate::html::figure::figure;
use crate::html::section::Section;
use crate::html::table::Column::{Number, Text};
use crate::html::table::HtmlTable;
use crate::run_results::{RunResults, TrainingResults};
use crate::training_settings::settings;

/// Renders the learning curves and a table of the training runs. Returns `None` if there are none.
pub(crate) fn section(results: &RunResults, figures: &Figures) -> Option<Section> {
    let runs = &results.training;
    let epochs = runs.first()?.history.len() as u64;
    // Manifests of older programs do not name the metric.
    let rule = runs.first()?.manifest.summary["best_by"].as_str().map_or_else(String::new, |metric| {
        let metric = match metric {
            "roc_auc" => "the highest ROC-AUC",
            "loss" => "the lowest loss",
            _ => "the highest accuracy",
        };
        format!(" by {metric}")
    });
    let lead = format!(
        "{} of {}. The checkpoint was chosen on the validation split{rule}. The test split was not used for any choice.",
        count_noun(runs.len() as u64, "training run"),
        count_noun(epochs, "epoch")
    );
    let settings: Vec<(String, Markup)> = settings(&runs.first()?.manifest.config)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), html! { (visible(&value)) }))
        .collect();
    let body = html! {
        (definition_list(&settings))
        div.duo {
            @for drawn in [&figures.loss, &figures.accuracy].into_iter().flatten() { (figure(drawn)) }
        }
        (table(runs))
    };
    Some(Section { id: "training", title: "Training", lead, body })
}

fn table(runs: &[TrainingResults]) -> Markup {
    let columns = [
        Text("Run"),
        Number("Best epoch"),
        Number("Validation accuracy"),
        Number("Validation ROC-AUC"),
        Number("Images/s"),
        Number("Time"),
        Text("Device"),
    ];
    let rows = html! { @for (i, run) in runs.iter().enumerate() { (row(i, run)) } };
    html! { (HtmlTable::captioned("training-caption", html! { "Training runs" }, &columns, rows)) }
}

fn row(index: usize, run: &TrainingResults) -> Markup {
    let best = run.history.iter().rev().find(|epoch| epoch.best);
    let speed = run.history.iter().map(|epoch| epoch.images_per_second).filter(|rate| rate.is_finite());
    let mean_speed = speed.clone().sum::<f64>() / speed.count().max(1) as f64;
    html! {
        tr {
            th scope="row" { "run " (index) }
            td.number { (best.map_or(UNDEFINED.to_owned(), |epoch| epoch.epoch.to_string())) }
            td.number { (percent(best.map(|epoch| epoch.val_accuracy))) }
            td.number { (score(best.and_then(|epoch| epoch.val_roc_auc))) }
            td.number { (compact(mean_speed, 1)) }
            td.number { (duration(run.manifest.seconds)) }
            td { (visible(&run.manifest.device)) }
        }
    }
}
