//! The page of a comparison.

use artifacts::schema::{ComparedDetector, Comparison, Metric, Pair};
use artifacts::text::dataset_name;
use maud::{Markup, html};

use super::detector_names::{all_names, name, pair_names};
use super::disagreements;
use super::figures::Figures;
use super::limitations::limitations;
use super::summary::sentences;
use super::thumbnails::Thumbnails;
use super::{datasets, uses_simulated_images};
use crate::escape::visible;
use crate::figure::Figure;
use crate::format_number::{UNDEFINED, count, count_noun, p_value, score};
use crate::html::figure::{figure, wide_figure};
use crate::html::layout::{self, Page, SUMMARY_ID};
use crate::html::limitations::limitation_box;
use crate::html::score_cells::{headline_cells, with_headline_columns};
use crate::html::section::Section;
use crate::html::table::Column::{self, Number, Text};
use crate::html::table::HtmlTable;

/// Renders the page.
pub(super) fn render(comparison: &Comparison, figures: &Figures, thumbnails: &Thumbnails) -> String {
    let sections: Vec<Section> = [
        Some(scores(comparison)),
        curves(figures),
        Some(tests(comparison, figures.differences.as_ref())),
        Some(disagreements::section(comparison, thumbnails)),
        Some(provenance(comparison)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let title = match comparison.detectors.len() {
        2 => format!("{} and {}", name(comparison, 0), name(comparison, 1)),
        n => format!("Comparison of {n} detectors"),
    };
    layout::document(&Page {
        title: &title,
        subtitle: subtitle(comparison),
        summary: summary(comparison),
        sections: &sections,
        version: env!("CARGO_PKG_VERSION"),
    })
}

fn subtitle(comparison: &Comparison) -> Markup {
    html! {
        @if uses_simulated_images(comparison) { span.badge { "simulated data" } " " }
        span { (count_noun(comparison.images, "image")) " in common" }
        @for dataset in &datasets(comparison) { span { (dataset) } }
    }
}

fn summary(comparison: &Comparison) -> Markup {
    let sentences = sentences(comparison);
    html! {
        section.summary id=(SUMMARY_ID) aria-labelledby="summary-heading" {
            h2 #summary-heading { "Summary" }
            @for (i, sentence) in sentences.iter().enumerate() {
                @if i == 0 { p.performance { (sentence) } } @else { p.details { (sentence) } }
            }
            (limitation_box("Do not rely on this comparison for", &limitations(comparison)))
        }
    }
}

fn scores(comparison: &Comparison) -> Section {
    let lead = "All detectors on the same images at threshold 0.5. Fake is the positive class. Brackets contain 95% confidence \
                intervals.";
    let columns = with_headline_columns(&[Text("Detector")]);
    let rows = html! {
        @for (index, detector) in comparison.detectors.iter().enumerate() {
            tr {
                th scope="row" title=(visible(&detector.name)) { (name(comparison, index)) }
                (headline_cells(&detector.scores, &detector.intervals))
            }
        }
    };
    let headline = HtmlTable::captioned("headline-caption", html! { "Main scores" }, &columns, rows).class("headline");
    let body = html! {
        (headline)
        (all_scores(comparison))
        p.note.files { "All scores: " a href="figures/scores.csv" { "CSV" } }
    };
    Section { id: "results", title: "Scores", lead: lead.to_owned(), body }
}

fn all_scores(comparison: &Comparison) -> Markup {
    let has_fitted = comparison.detectors.iter().any(|detector| detector.fitted.is_some());
    let caption = html! {
        "All scores"
        @if has_fitted { "; second line: with the temperature and threshold fitted on each detector's validation split" }
    };
    let names = all_names(comparison);
    let columns: Vec<Column<'_>> =
        std::iter::once(Text("Score")).chain(names.iter().map(|name| Number(name))).collect();
    let rows = html! {
        @for metric in Metric::listed() {
            tr {
                th scope="row" { (metric.name) }
                @for detector in &comparison.detectors { (default_and_fitted_score(metric, detector)) }
            }
        }
    };
    html! { (HtmlTable::captioned("scores-caption", caption, &columns, rows)) }
}

/// Renders a score at threshold 0.5 and, below it, with the fitted temperature and threshold.
fn default_and_fitted_score(metric: &Metric, detector: &ComparedDetector) -> Markup {
    html! {
        td.number {
            (score(metric.informative_value(&detector.scores)))
            @if let Some(fitted) = &detector.fitted { span.interval { (score(metric.informative_value(fitted))) } }
        }
    }
}

fn curves(figures: &Figures) -> Option<Section> {
    let roc = figures.roc.as_ref()?;
    let lead = "Where one curve is above another, its detector finds more fakes at the same rate of false alarms.";
    let body = html! { div.single { (figure(roc)) } };
    Some(Section { id: "curves", title: "ROC curves", lead: lead.to_owned(), body })
}

fn tests(comparison: &Comparison, differences: Option<&Figure>) -> Section {
    let correction = match comparison.pairs.len() {
        1 => String::new(),
        pairs => format!(" The p-values are corrected for {pairs} pairs with Holm's method."),
    };
    let lead = format!(
        "Paired tests of whether a difference would also appear on other images of the same kind: DeLong's test for ROC-AUC and \
         McNemar's exact test for accuracy at threshold 0.5.{correction}"
    );
    let columns = [
        Text("First, second"),
        Number("Difference in ROC-AUC"),
        Number("DeLong p"),
        Number("Only first correct"),
        Number("Only second correct"),
        Number("McNemar p"),
        Number("McNemar p, fitted threshold"),
    ];
    let rows = html! { @for pair in &comparison.pairs { (test_row(comparison, pair)) } };
    let body = html! {
        @if let Some(drawn) = differences { (wide_figure(drawn)) }
        (HtmlTable::captioned("tests-caption", html! { "Tests of the first detector against the second" }, &columns, rows))
        p.note.files { "With uncorrected p-values: " a href="figures/tests.csv" { "CSV" } }
    };
    Section { id: "tests", title: "Significance tests", lead, body }
}

fn test_row(comparison: &Comparison, pair: &Pair) -> Markup {
    let [first, second] = pair_names(comparison, pair);
    html! {
        tr {
            th scope="row" { (first) ", " (second) }
            td.number {
                @match pair.roc_auc {
                    Some(test) => {
                        (format!("{:+.3}", test.difference))
                        span.interval { "[" (format!("{:+.3}, {:+.3}", test.interval.low, test.interval.high)) "]" }
                    }
                    None => (UNDEFINED),
                }
            }
            td.number { (p_value(pair.roc_auc.and_then(|test| test.p_holm))) }
            td.number { (count(pair.accuracy.only_first)) }
            td.number { (count(pair.accuracy.only_second)) }
            td.number { (p_value(Some(pair.accuracy.p_holm))) }
            td.number { (p_value(pair.fitted_accuracy.map(|test| test.p_holm))) }
        }
    }
}

fn provenance(comparison: &Comparison) -> Section {
    let columns = [
        Text("Detector"),
        Number("Training run"),
        Text("Checkpoint"),
        Text("Data set"),
        Number("Images left out"),
        Text("BLAKE3 of the weights"),
    ];
    let rows = html! {
        @for detector in &comparison.detectors {
            tr {
                th scope="row" { (visible(&detector.name)) }
                td.number { (detector.run) }
                td { (visible(&detector.checkpoint)) }
                td { (visible(&dataset_name(&detector.dataset))) }
                td.number { (count(detector.left_out)) }
                td { code.hash { (detector.weights.map_or(UNDEFINED.to_owned(), |hash| hash.to_string())) } }
            }
        }
    };
    let body = html! { (HtmlTable::labelled("the detectors", &columns, rows)) };
    let lead = "The compared detectors. All numbers on this page are from compare.json.";
    Section { id: "provenance", title: "Provenance", lead: lead.to_owned(), body }
}

#[cfg(test)]
mod tests {
    use super::super::test_data::comparison;
    use super::*;

    #[test]
    fn page_has_all_sections_and_escapes_text_from_outside() {
        let comparison = comparison();
        let page = render(&comparison, &Figures::draw(&comparison), &Thumbnails::default());
        for part in ["runs/a and runs/b", "id=\"figure-roc\"", "id=\"figure-differences\"", "wrong", "16 of 400 images"]
        {
            assert!(page.contains(part), "{part}");
        }
        assert!(page.contains("&lt;b&gt;") && page.contains("&lt;/td&gt;") && !page.contains('\u{1b}'));
        assert!(!page.contains("/home/me/photos") && page.contains(">photos<"), "the path of the data set");
        assert!(!page.contains("NaN") && !page.contains("http://") && !page.contains("https://"));
    }
}
