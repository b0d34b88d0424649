//! Scores by generator and by source.

use artifacts::schema::{BandVerdicts, Group, Groups, Metric};
use maud::{Markup, html};

use crate::escape::visible;
use crate::figure::Figure;
use crate::figures::Figures;
use crate::format_number::{count, percent, score};
use crate::html::figure::wide_figure;
use crate::html::score_cells::score_cell;
use crate::html::section::Section;
use crate::html::table::Column::{self, Number, NumberWithTooltip, Text};
use crate::html::table::HtmlTable;
use crate::run_results::RunResults;

/// Renders the scores of each generator and each source. Returns `None` if the images are in no groups.
pub(crate) fn section(results: &RunResults, figures: &Figures) -> Option<Section> {
    let run = results.evaluation.metrics.runs.first()?;
    if run.generators.groups.is_empty() && run.sources.groups.is_empty() && run.columns.is_empty() {
        return None;
    }
    let lead = "A good average can hide a generator or a source whose images are not detected. The fakes of each \
                generator are evaluated together with all real images.";
    let body = html! {
        (groups(&run.generators, figures.generators.as_ref(), &Kind::new("generator", "Generator", "generator")))
        (groups(&run.sources, figures.sources.as_ref(), &Kind::new("source", "Source", "source")))
        @for (number, (column, of_column)) in run.columns.iter().enumerate() {
            @let kind = Kind::new(&format!("column-{}", number + 1), column, column);
            (groups(of_column, figures.columns.get(number).and_then(Option::as_ref), &kind))
        }
    };
    let title = if run.generators.groups.is_empty() { "Scores by group" } else { "Generators" };
    Some(Section { id: "generators", title, lead: lead.to_owned(), body })
}

/// What the groups of a table are.
struct Kind {
    /// The id of the table.
    id: String,
    /// The heading of the column of their names.
    heading: String,
    /// The word for a group in a sentence.
    word: String,
}

impl Kind {
    fn new(id: &str, heading: &str, word: &str) -> Kind {
        Kind { id: format!("by-{id}"), heading: visible(heading), word: visible(word) }
    }
}

fn groups(groups: &Groups, drawn: Option<&Figure>, kind: &Kind) -> Markup {
    html! {
        @if let Some(drawn) = drawn { (wide_figure(drawn)) }
        @if !groups.groups.is_empty() { (table(groups, kind)) }
    }
}

/// Returns the metrics in the table.
fn shown_metrics() -> impl Iterator<Item = &'static Metric> {
    ["roc_auc", "real_accuracy", "fake_accuracy", "f1"].into_iter().filter_map(Metric::by_key)
}

/// The columns of the verdicts with the fitted band.
const VERDICT_COLUMNS: [Column<'static>; 2] = [
    NumberWithTooltip("Inconclusive", "share of the images in the fitted inconclusive band"),
    NumberWithTooltip(
        "Wrong verdicts",
        "share of wrong verdicts on the images outside this band, all real images included; lower is better",
    ),
];

fn table(groups: &Groups, kind: &Kind) -> Markup {
    let has_verdicts = groups.groups.iter().any(|group| group.fitted_verdicts.is_some());
    let caption = html! {
        "Scores by " (kind.word) " at threshold 0.5"
        @if has_verdicts { ", and verdicts with the fitted inconclusive band" }
    };
    let several = groups.groups.len() > 1;
    let scored = groups.groups.iter().filter(|group| group.scores.roc_auc.is_some()).count();
    let worst = groups.worst.get("roc_auc").filter(|_| scored > 1).map(|worst| worst.name.as_str());
    let columns: Vec<Column<'_>> = [Text(&kind.heading), Number("Real images"), Number("Fakes")]
        .into_iter()
        .chain(shown_metrics().map(Column::Metric))
        .chain(has_verdicts.then_some(VERDICT_COLUMNS).into_iter().flatten())
        .collect();
    let rows =
        html! { @for group in &groups.groups { (row(group, worst == Some(group.name.as_str()), has_verdicts)) } };
    let table = HtmlTable::captioned(&kind.id, caption, &columns, rows);
    if !several {
        return html! { (table) };
    }
    let footer = html! {
        (footer_row("mean", has_verdicts, |key| groups.mean.get(key).copied()))
        (footer_row("worst", has_verdicts, |key| groups.worst.get(key).map(|worst| worst.value)))
    };
    html! { (table.footer(footer)) }
}

fn row(group: &Group, worst: bool, has_verdicts: bool) -> Markup {
    html! {
        tr {
            th scope="row" {
                (visible(&group.name))
                @if worst { " " span.badge { "worst" } }
            }
            td.number { (count(group.reals)) }
            td.number { (count(group.fakes)) }
            @for metric in shown_metrics() { (score_cell(metric.value(&group.scores), group.intervals.get(metric.key))) }
            @if has_verdicts { (verdict_cells(group.fitted_verdicts.as_ref())) }
        }
    }
}

/// Renders the shares of inconclusive and of wrong verdicts.
fn verdict_cells(verdicts: Option<&BandVerdicts>) -> Markup {
    html! {
        td.number { (percent(verdicts.and_then(|verdicts| verdicts.inconclusive))) }
        td.number {
            (percent(verdicts.and_then(|verdicts| verdicts.wrong)))
            span.interval {
                @if let Some(interval) = verdicts.and_then(|verdicts| verdicts.wrong_interval) {
                    "[" (percent(Some(interval.low))) ", " (percent(Some(interval.high))) "]"
                }
            }
        }
    }
}

fn footer_row(name: &str, has_verdicts: bool, value: impl Fn(&str) -> Option<f64>) -> Markup {
    html! {
        tr {
            th scope="row" { (name) }
            td {} td {}
            @for metric in shown_metrics() { td.number { (score(value(metric.key))) } }
            @if has_verdicts { td {} td {} }
        }
    }
}
