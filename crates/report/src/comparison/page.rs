//! The page of a comparison: which detector is better, how sure that is, and where they differ.

use artifacts::Label;
use artifacts::schema::{ComparedDetector, Comparison, Disagreement, Metric, Pair};
use maud::{Markup, html};

use super::answer::{limits, sentences};
use super::figures::Figures;
use super::{is_simulated, name, names, p_value};
use crate::figures::Figure;
use crate::number::{UNDEFINED, count, counted, probability, score};
use crate::page::shell::{self, Page};
use crate::page::widgets::Column::{self, Number, Words};
use crate::page::widgets::{Section, broad_figure, captioned, figure, head, score_cell, scrolled, with_headline};
use crate::text::{file_name, visible};

/// Disagreements beyond these are in the CSV only.
const MOST_DISAGREEMENTS: usize = 60;

/// The whole page.
pub(super) fn render(comparison: &Comparison, figures: &Figures) -> String {
    let sections: Vec<Section> = [
        Some(scores(comparison)),
        curves(figures),
        Some(tests(comparison, figures.differences.as_ref())),
        disagreements(comparison),
        Some(provenance(comparison)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let title = match comparison.detectors.len() {
        2 => format!("{} and {}", name(comparison, 0), name(comparison, 1)),
        n => format!("{n} detectors side by side"),
    };
    shell::document(&Page {
        title: &title,
        about: about(comparison),
        opening: opening(comparison),
        sections: &sections,
        version: env!("CARGO_PKG_VERSION"),
    })
}

fn about(comparison: &Comparison) -> Markup {
    let mut datasets: Vec<String> = comparison.detectors.iter().map(|entrant| visible(&entrant.dataset)).collect();
    datasets.dedup();
    html! {
        @if is_simulated(comparison) { span.badge { "simulated data" } " " }
        span { (counted(comparison.images, "image")) " in common" }
        @for dataset in &datasets { span { (dataset) } }
    }
}

fn opening(comparison: &Comparison) -> Markup {
    let sentences = sentences(comparison);
    html! {
        section.answer #answer aria-labelledby="answer-heading" {
            h2 #answer-heading { "The answer" }
            @for (i, sentence) in sentences.iter().enumerate() {
                @if i == 0 { p.verdict { (sentence) } } @else { p.further { (sentence) } }
            }
            div.limits {
                h3 { "What it must not be trusted for" }
                ul { @for limit in &limits(comparison) { li { strong { (limit.what) } ": " (limit.why) "." } } }
            }
        }
    }
}

fn scores(comparison: &Comparison) -> Section {
    let lead = "All on the same images, at threshold 0.5. Fake is the positive class; ranges are 95% intervals.";
    let rows = html! {
        (head(&with_headline(&[Words("Detector")])))
        tbody {
            @for (index, entrant) in comparison.detectors.iter().enumerate() {
                tr {
                    th scope="row" title=(visible(&entrant.name)) { (name(comparison, index)) }
                    @for metric in Metric::headline() {
                        (score_cell(metric.informative_value(&entrant.scores), entrant.intervals.get(metric.key)))
                    }
                }
            }
        }
    };
    let caption = html! { "The scores that the field reports" };
    let body = html! {
        (captioned("headline-caption", Some("headline"), &caption, &rows))
        (all_scores(comparison))
        p.note.files { "All scores: " a href="figures/scores.csv" { "CSV" } }
    };
    Section { id: "results", title: "Scores side by side", lead: lead.to_owned(), body }
}

fn all_scores(comparison: &Comparison) -> Markup {
    let fitted = comparison.detectors.iter().any(|entrant| entrant.fitted.is_some());
    let caption = html! {
        "All scores"
        @if fitted { "; in the second line with the temperature and threshold that each fitted on its validation split" }
    };
    let names: Vec<String> = (0..comparison.detectors.len()).map(|index| name(comparison, index)).collect();
    let columns: Vec<Column<'_>> =
        std::iter::once(Words("Score")).chain(names.iter().map(|name| Number(name))).collect();
    let rows = html! {
        (head(&columns))
        tbody {
            @for metric in Metric::listed() {
                tr {
                    th scope="row" { (metric.name) }
                    @for entrant in &comparison.detectors { (both(metric, entrant)) }
                }
            }
        }
    };
    captioned("scores-caption", None, &caption, &rows)
}

/// A score at 0.5 and, below it, as fitted.
fn both(metric: &Metric, entrant: &ComparedDetector) -> Markup {
    html! {
        td.number {
            (score(metric.informative_value(&entrant.scores)))
            @if let Some(fitted) = &entrant.fitted { span.interval { (score(metric.informative_value(fitted))) } }
        }
    }
}

fn curves(figures: &Figures) -> Option<Section> {
    let roc = figures.roc.as_ref()?;
    let lead = "Where one curve lies above another, that detector finds more fakes at the same share of false alarms.";
    let body = html! { div.single { (figure(roc)) } };
    Some(Section { id: "curves", title: "Curves", lead: lead.to_owned(), body })
}

fn tests(comparison: &Comparison, differences: Option<&Figure>) -> Section {
    let lead = format!(
        "Paired tests on the same images: would the difference last on other images, drawn as these were? DeLong's test is \
         for ROC-AUC, McNemar's exact test for accuracy at threshold 0.5; p-values are corrected for {} by Holm.",
        counted(comparison.pairs.len() as u64, "pair")
    );
    let columns = [
        Words("First, second"),
        Number("ROC-AUC"),
        Number("DeLong p"),
        Number("Right only in first"),
        Number("Only in second"),
        Number("McNemar p"),
        Number("As fitted, p"),
    ];
    let rows = html! {
        (head(&columns))
        tbody { @for pair in &comparison.pairs { (test(comparison, pair)) } }
    };
    let body = html! {
        @if let Some(drawn) = differences { (broad_figure(drawn)) }
        (captioned("tests-caption", None, &html! { "First minus second" }, &rows))
        p.note.files { "With uncorrected p-values: " a href="figures/tests.csv" { "CSV" } }
    };
    Section { id: "tests", title: "Is the difference real?", lead, body }
}

fn test(comparison: &Comparison, pair: &Pair) -> Markup {
    let [first, second] = names(comparison, pair);
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

fn disagreements(comparison: &Comparison) -> Option<Section> {
    let listed = &comparison.disagreements;
    let lead = format!(
        "{} of {} get different verdicts at threshold 0.5. Those with the most distant scores come first.",
        counted(comparison.disagreeing, "image"),
        count(comparison.images)
    );
    let scored: Vec<String> =
        (0..comparison.detectors.len()).map(|index| format!("P(fake), {}", name(comparison, index))).collect();
    let columns: Vec<Column<'_>> = [Words("File"), Words("Truth"), Words("Generator")]
        .into_iter()
        .chain(scored.iter().map(|name| Number(name)))
        .collect();
    let table = html! {
        table {
            (head(&columns))
            tbody { @for image in listed.iter().take(MOST_DISAGREEMENTS) { (disagreement(image)) } }
        }
    };
    let body = html! {
        @if !listed.is_empty() {
            (scrolled("images on which the verdicts differ", &table))
            p.note.files {
                @if comparison.disagreeing > listed.len() as u64 { "The first " (count(listed.len() as u64)) } @else { "All" }
                " of them: " a href="figures/disagreements.csv" { "CSV" }
            }
        }
    };
    Some(Section { id: "disagreements", title: "Where they differ", lead, body })
}

fn disagreement(image: &Disagreement) -> Markup {
    let wrong = |p_fake: f64| (p_fake >= 0.5) != (image.label == Label::Fake);
    html! {
        tr {
            td.path title=(visible(&image.path)) { (file_name(&image.path)) }
            td { span class={ "label " (image.label) } { (image.label) } }
            td { (visible(&image.generator)) }
            @for &p_fake in &image.p_fake {
                td.number { (probability(p_fake)) @if wrong(p_fake) { span.interval { "wrong" } } }
            }
        }
    }
}

fn provenance(comparison: &Comparison) -> Section {
    let columns = [
        Words("Detector"),
        Number("Training run"),
        Words("Checkpoint"),
        Words("Judged"),
        Number("Left out"),
        Words("BLAKE3 of the weights"),
    ];
    let table = html! {
        table {
            (head(&columns))
            tbody {
                @for entrant in &comparison.detectors {
                    tr {
                        th scope="row" { (visible(&entrant.name)) }
                        td.number { (entrant.run) }
                        td { (visible(&entrant.checkpoint)) }
                        td { (visible(&entrant.dataset)) }
                        td.number { (count(entrant.left_out)) }
                        td { code.hash { (entrant.weights.map_or(UNDEFINED.to_owned(), |hash| hash.to_string())) } }
                    }
                }
            }
        }
    };
    let body = scrolled("the detectors", &table);
    let lead = "What was compared. Everything on this page stands in compare.json.";
    Section { id: "provenance", title: "Provenance", lead: lead.to_owned(), body }
}

#[cfg(test)]
pub(in crate::comparison) mod tests {
    use serde_json::json;

    use super::*;
    use crate::sample;

    /// Two detectors on 400 images, the second better by 0.02.
    pub(in crate::comparison) fn comparison() -> Comparison {
        let entrant = |name: &str, area: f64| {
            let mut scores = serde_json::to_value(sample::scores()).unwrap();
            scores["roc_auc"] = area.into();
            json!({
                "name": name, "run": 0, "dataset": "folder", "checkpoint": "best", "weights": null, "left_out": 0,
                "simulated": false, "scores": scores, "intervals": {"roc_auc": {"low": area - 0.02, "high": area + 0.02}},
                "roc": [{"x": 0.0, "y": 0.0, "threshold": null}, {"x": 0.1, "y": area, "threshold": 0.5},
                    {"x": 1.0, "y": 1.0, "threshold": 0.0}],
                "fitted": null,
            })
        };
        let value = json!({
            "schema_version": 1, "images": 400, "bootstrap": {"resamples": 2000, "seed": 0, "level": 0.95},
            "entrants": [entrant("runs/a", 0.92), entrant("runs/b", 0.94)],
            "pairs": [{
                "first": 0, "second": 1,
                "roc_auc": {"difference": -0.02, "interval": {"low": -0.035, "high": -0.005}, "z": -2.65, "p": 0.008, "p_holm": 0.008},
                "accuracy": {"only_first": 4, "only_second": 12, "p": 0.0768, "p_holm": 0.0768, "chi_square": 3.06, "chi_square_p": 0.08},
                "fitted_accuracy": null,
                "differences": [{"score": "roc_auc", "value": -0.02, "interval": {"low": -0.036, "high": -0.004}}],
            }],
            "disagreeing": 16,
            "disagreements": [{"id": artifacts::hash::Hash::of(b"a"), "path": "test/fake/<b>\u{1b}.jpg", "label": "fake",
                "generator": "</td>", "p_fake": [0.1, 0.9]}],
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_page_holds_all_and_escapes_it() {
        let comparison = comparison();
        let page = render(&comparison, &Figures::draw(&comparison));
        for part in ["runs/a and runs/b", "id=\"figure-roc\"", "id=\"figure-differences\"", "wrong", "16 images of 400"]
        {
            assert!(page.contains(part), "{part}");
        }
        assert!(page.contains("&lt;b&gt;") && page.contains("&lt;/td&gt;") && !page.contains('\u{1b}'));
        assert!(!page.contains("NaN") && !page.contains("http://") && !page.contains("https://"));
    }
}
