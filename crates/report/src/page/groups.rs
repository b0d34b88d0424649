//! Scores by generator and by source.

use artifacts::schema::{Group, Groups, Metric};
use maud::{Markup, html};

use super::widgets::Column::{self, Number, Words};
use super::widgets::{Section, broad_figure, captioned, head, score_cell};
use crate::evidence::Evidence;
use crate::figures::{Figure, Figures};
use crate::number::{count, score};
use crate::text::visible;

/// Each generator's fakes against all real images, and each source; nothing where the images are of one kind.
pub(crate) fn section(evidence: &Evidence, figures: &Figures) -> Option<Section> {
    let run = evidence.evaluation.metrics.runs.first()?;
    if run.generators.groups.is_empty() && run.sources.groups.is_empty() {
        return None;
    }
    let lead = "A good mean can hide a generator that gets through. Each generator's fakes are judged against all real \
                images, with the worst beside the mean.";
    let body = html! {
        (groups(&run.generators, figures.generators.as_ref(), "Generator"))
        (groups(&run.sources, figures.sources.as_ref(), "Source"))
    };
    Some(Section { id: "generators", title: "Generators", lead: lead.to_owned(), body })
}

fn groups(groups: &Groups, drawn: Option<&Figure>, what: &str) -> Markup {
    html! {
        @if let Some(drawn) = drawn { (broad_figure(drawn)) }
        @if !groups.groups.is_empty() { (table(groups, what)) }
    }
}

/// The metrics of a group that are shown.
fn shown_metrics() -> impl Iterator<Item = &'static Metric> {
    ["roc_auc", "real_accuracy", "fake_accuracy", "f1"].into_iter().filter_map(Metric::by_key)
}

fn table(groups: &Groups, what: &str) -> Markup {
    let id = format!("by-{}", what.to_lowercase());
    let several = groups.groups.len() > 1;
    let worst = groups.worst.get("roc_auc").filter(|_| several).map(|worst| worst.name.as_str());
    let columns: Vec<Column<'_>> =
        [Words(what), Number("Real"), Number("Fake")].into_iter().chain(shown_metrics().map(Column::Metric)).collect();
    let rows = html! {
        (head(&columns))
        tbody { @for group in &groups.groups { (row(group, worst == Some(group.name.as_str()))) } }
        @if several {
            tfoot {
                (foot("mean", |key| groups.mean.get(key).copied()))
                (foot("worst", |key| groups.worst.get(key).map(|worst| worst.value)))
            }
        }
    };
    captioned(&id, None, &html! { "By " (what.to_lowercase()) ", at threshold 0.5" }, &rows)
}

fn row(group: &Group, worst: bool) -> Markup {
    html! {
        tr {
            th scope="row" {
                (visible(&group.name))
                @if worst { " " span.badge { "worst" } }
            }
            td.number { (count(group.reals)) }
            td.number { (count(group.fakes)) }
            @for metric in shown_metrics() {
                (score_cell(metric.value(&group.scores), group.intervals.get(metric.key)))
            }
        }
    }
}

fn foot(name: &str, value: impl Fn(&str) -> Option<f64>) -> Markup {
    html! {
        tr {
            th scope="row" { (name) }
            td {} td {}
            @for metric in shown_metrics() { td.number { (score(value(metric.key))) } }
        }
    }
}
