//! How the model came to be what it is.

use maud::{Markup, html};

use super::widgets::Column::{Number, Words};
use super::widgets::{Section, captioned, figure, head};
use crate::evidence::{Evidence, Training};
use crate::figures::Figures;
use crate::number::{counted, duration, percent, score};
use crate::text::visible;

/// Curves and a table of the runs; nothing where nothing was trained here.
pub(crate) fn section(evidence: &Evidence, figures: &Figures) -> Option<Section> {
    let runs = &evidence.training;
    let epochs = runs.first()?.history.len() as u64;
    let lead = format!(
        "{} of {}. The checkpoint is chosen on the validation split; the test split chooses nothing.",
        counted(runs.len() as u64, "run"),
        counted(epochs, "epoch")
    );
    let body = html! {
        div.duo {
            @for drawn in [&figures.loss, &figures.accuracy].into_iter().flatten() { (figure(drawn)) }
        }
        (table(runs))
    };
    Some(Section { id: "training", title: "Training", lead, body })
}

fn table(runs: &[Training]) -> Markup {
    let columns = [
        Words("Run"),
        Number("Best epoch"),
        Number("Validation accuracy"),
        Number("Validation ROC-AUC"),
        Number("Images/s"),
        Number("Time"),
        Words("Device"),
    ];
    let rows = html! {
        (head(&columns))
        tbody { @for (i, run) in runs.iter().enumerate() { (row(i, run)) } }
    };
    captioned("training-caption", None, &html! { "Training runs" }, &rows)
}

fn row(index: usize, run: &Training) -> Markup {
    let best = run.history.iter().rev().find(|epoch| epoch.best);
    let speed = run.history.iter().map(|epoch| epoch.images_per_second).filter(|rate| rate.is_finite());
    let mean_speed = speed.clone().sum::<f64>() / speed.count().max(1) as f64;
    html! {
        tr {
            th scope="row" { "run " (index) }
            td.number { (best.map_or(crate::number::UNDEFINED.to_owned(), |epoch| epoch.epoch.to_string())) }
            td.number { (percent(best.map(|epoch| epoch.val_accuracy))) }
            td.number { (score(best.and_then(|epoch| epoch.val_roc_auc))) }
            td.number { (crate::number::compact(mean_speed, 1)) }
            td.number { (duration(run.manifest.seconds)) }
            td { (visible(&run.manifest.device)) }
        }
    }
}
