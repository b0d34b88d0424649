//! The page of a benchmark.

use std::collections::BTreeSet;

use artifacts::schema::{BenchmarkCopy, Interval, Metric, PublishedResult, PublishedTable};
use maud::{Markup, html};

use super::{Evaluated, by_mean};
use crate::escape::visible;
use crate::figure::Figure;
use crate::format_number::{UNDEFINED, count, count_noun, ends, score};
use crate::html::figure::wide_figure;
use crate::html::layout::{self, Page, SUMMARY_ID};
use crate::html::limitations::limitation_box;
use crate::html::score_cells::score_cell;
use crate::html::section::Section;
use crate::html::table::Column::{self, Number, Text};
use crate::html::table::HtmlTable;
use crate::limitations::Limitation;

/// The number of sentences about a copy that is not complete. The command prints all.
const MAX_LACKING: usize = 5;

pub(super) fn render(
    copy: &BenchmarkCopy,
    metric: &'static Metric,
    evaluated: &[Evaluated],
    means: Option<&Figure>,
) -> String {
    let sections: Vec<Section> =
        [Some(results(copy, metric, evaluated, means)), by_generator(copy, metric, evaluated), Some(sources(copy))]
            .into_iter()
            .flatten()
            .collect();
    layout::document(&Page {
        title: &format!("Results on {}", visible(&copy.name)),
        subtitle: html! { span { (visible(&copy.paper)) } },
        summary: summary(copy, metric, evaluated),
        sections: &sections,
        version: env!("CARGO_PKG_VERSION"),
    })
}

fn summary(copy: &BenchmarkCopy, metric: &Metric, evaluated: &[Evaluated]) -> Markup {
    html! {
        section.summary id=(SUMMARY_ID) aria-labelledby="summary-heading" {
            h2 #summary-heading { "Summary" }
            @for detector in evaluated { p.performance { (sentence(detector, metric)) } }
            p.details { (published_sentence(copy, metric)) }
            (limitation_box("Before you compare", &limitations(copy, evaluated)))
        }
    }
}

fn sentence(detector: &Evaluated, metric: &Metric) -> String {
    let result = detector.result(metric);
    let name = visible(result.name);
    let interval = result.interval.as_ref().and_then(ends);
    let range = interval.map_or(String::new(), |[low, high]| format!(" [{low}, {high}]"));
    let mean = format!("{}{range}", score(result.mean));
    let generators = detector.metrics.runs[0].generators.groups.len() as u64;
    match result.worst.filter(|_| generators > 1) {
        None => format!("{name}: {} {mean}.", metric.name),
        Some((worst, value)) => format!(
            "{name}: {} {mean}, mean over {}; the worst is {} with {}.",
            metric.name,
            count_noun(generators, "generator"),
            visible(worst),
            score(Some(value))
        ),
    }
}

fn published_sentence(copy: &BenchmarkCopy, metric: &Metric) -> String {
    let results = || copy.published.iter().flat_map(|source| &source.results);
    let means = || results().filter(|result| result.metric == metric.key).map(|result| result.mean);
    if means().next().is_none() {
        return format!("Candling knows no published {} on this benchmark.", metric.name);
    }
    let (lowest, highest) = (means().fold(f64::INFINITY, f64::min), means().fold(f64::NEG_INFINITY, f64::max));
    format!(
        "{} from {}: {} {} to {}.",
        count_noun(means().count() as u64, "published result"),
        count_noun(copy.published.len() as u64, "source"),
        metric.name,
        score(Some(lowest)),
        score(Some(highest))
    )
}

fn limitations(copy: &BenchmarkCopy, evaluated: &[Evaluated]) -> Vec<Limitation> {
    let without_stop = |text: &str| visible(text.trim_end_matches('.'));
    let mut found = vec![Limitation::new(
        "training",
        "the detectors were trained on different images, so a difference of means is not one of methods; the tables \
         name the images where the source does",
    )];
    if !copy.lacking.is_empty() {
        let first: Vec<String> = copy.lacking.iter().take(MAX_LACKING).map(|text| without_stop(text)).collect();
        let more = copy.lacking.len().saturating_sub(MAX_LACKING) as u64;
        let more = if more > 0 { format!("; and {} more", count(more)) } else { String::new() };
        found.push(Limitation::new("incomplete copy", format!("{}{more}", first.join("; "))));
    }
    let compares_all = |detector: &&Evaluated| {
        detector.metrics.judged.is_none() && detector.metrics.runs[0].generators.groups.len() > 1
    };
    let names: Vec<String> = evaluated.iter().filter(compares_all).map(|detector| visible(&detector.name)).collect();
    if !names.is_empty() {
        found.push(Limitation::new(
            "real images",
            format!(
                "the fakes of each generator are compared with all real images for {}; publications often use those \
                 of the generator",
                names.join(", ")
            ),
        ));
    }
    found.extend(copy.caveats.iter().map(|caveat| Limitation::new("benchmark", without_stop(caveat))));
    found
}

fn results(copy: &BenchmarkCopy, metric: &'static Metric, evaluated: &[Evaluated], means: Option<&Figure>) -> Section {
    let lead = "Means over the generators. The tables are not one ranking: each source has its own training images and its \
                own choice of threshold. The interval of a mean is the mean of the generators' 95% intervals, which is at \
                least as wide as needed.";
    let body = html! {
        @if let Some(means) = means { (wide_figure(means)) }
        (measured(metric, evaluated))
        @for (number, source) in copy.published.iter().enumerate() { (published(metric, number, source)) }
        p.note.files { "All results: " a href="figures/results.csv" { "CSV" } }
    };
    Section { id: "results", title: "Results", lead: lead.to_owned(), body }
}

fn measured(metric: &'static Metric, evaluated: &[Evaluated]) -> Markup {
    let columns = [Text("Detector"), Column::Metric(metric), Number("Worst generator"), Number("Images")];
    let rows = html! {
        @for detector in evaluated {
            @let result = detector.result(metric);
            tr {
                th scope="row" { (visible(result.name)) }
                (score_cell(result.mean, result.interval.as_ref()))
                (worst_cell(result.worst))
                td.number { (count(detector.metrics.headline.n)) }
            }
        }
    };
    html! { (HtmlTable::captioned("measured-caption", html! { "Measured here, at threshold 0.5" }, &columns, rows)) }
}

fn published(metric: &Metric, number: usize, source: &PublishedTable) -> Markup {
    let metric_of = |key: &str| Metric::by_key(key).map_or_else(|| visible(key), |metric| metric.name.to_owned());
    let is_other = source.results.iter().any(|result| result.metric != metric.key);
    let columns = [Text("Detector"), Number("Mean"), Number("Worst generator")];
    let rows = html! {
        @for result in by_mean(source) {
            @let worst = result.generators.iter().min_by(|a, b| a.1.total_cmp(b.1));
            tr {
                th scope="row" {
                    (visible(&result.method))
                    @if let Some(details) = details(result) { span.interval { (details) } }
                    @if !result.caveats.is_empty() { span.interval { (visible(&result.caveats.join(" "))) } }
                }
                td.number {
                    (score(Some(result.mean)))
                    @if is_other { span.interval { (metric_of(&result.metric)) } }
                }
                (worst_cell(worst.map(|(name, value)| (name.as_str(), *value))))
            }
        }
    };
    let caption = html! { "Published: " (visible(&source.title)) " (" (visible(&source.source)) ")" };
    html! {
        (HtmlTable::captioned(&format!("published-{number}"), caption, &columns, rows))
        @for caveat in &source.caveats { p.note { (visible(caveat)) } }
    }
}

/// Describes the network and the training images of a published detector. `None` if the source names neither.
fn details(result: &PublishedResult) -> Option<String> {
    let training = result.training.as_ref().map(|training| format!("trained on {training}"));
    let parts: Vec<String> = result.backbone.iter().chain(&training).map(|part| visible(part)).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn worst_cell(worst: Option<(&str, f64)>) -> Markup {
    html! {
        td.number {
            (score(worst.map(|(_, value)| value)))
            @if let Some((name, _)) = worst { span.interval { (visible(name)) } }
        }
    }
}

/// Renders the results of each generator. Returns `None` if there are none.
fn by_generator(copy: &BenchmarkCopy, metric: &'static Metric, evaluated: &[Evaluated]) -> Option<Section> {
    let groups = |detector: &'_ Evaluated| -> Vec<(String, Option<f64>, Option<Interval>)> {
        let groups = &detector.metrics.runs[0].generators.groups;
        let of_group = |group: &artifacts::schema::Group| {
            (group.name.clone(), metric.informative_value(&group.scores), group.intervals.get(metric.key).copied())
        };
        groups.iter().map(of_group).collect()
    };
    let measured: Vec<_> = evaluated.iter().map(|detector| (visible(&detector.name), groups(detector))).collect();
    let published: Vec<_> = copy
        .published
        .iter()
        .flat_map(|source| &source.results)
        .filter(|result| result.metric == metric.key && !result.generators.is_empty())
        .collect();
    let names: BTreeSet<&str> = measured
        .iter()
        .flat_map(|(_, groups)| groups.iter().map(|(name, ..)| name.as_str()))
        .chain(published.iter().flat_map(|result| result.generators.keys().map(String::as_str)))
        .collect();
    if names.is_empty() {
        return None;
    }
    let methods: Vec<String> = published.iter().map(|result| visible(&result.method)).collect();
    let headings = measured.iter().map(|(name, _)| name).chain(&methods).map(|name| Number(name));
    let columns: Vec<Column<'_>> = std::iter::once(Text("Generator")).chain(headings).collect();
    let rows = html! {
        @for name in names {
            tr {
                th scope="row" { (visible(name)) }
                @for (_, groups) in &measured {
                    @let found = groups.iter().find(|(group, ..)| group == name);
                    (score_cell(found.and_then(|found| found.1), found.and_then(|found| found.2.as_ref())))
                }
                @for result in &published { td.number { (score(result.generators.get(name).copied())) } }
            }
        }
    };
    let caption = html! { (metric.name) " of each generator; the detectors without intervals are published" };
    let body = html! { (HtmlTable::captioned("by-generator-caption", caption, &columns, rows)) };
    let lead = "A good mean can hide generators whose images are not found.";
    Some(Section { id: "generators", title: "Generators", lead: lead.to_owned(), body })
}

fn sources(copy: &BenchmarkCopy) -> Section {
    let columns = [Text("Title"), Text("Where"), Text("Date"), Number("Results")];
    let rows = html! {
        @for source in &copy.published {
            tr {
                th scope="row" { (visible(&source.title)) }
                td { (visible(&source.source)) }
                td { (source.date.as_deref().map_or(UNDEFINED.to_owned(), visible)) }
                td.number { (count(source.results.len() as u64)) }
            }
        }
    };
    let body = html! { (HtmlTable::labelled("the sources", &columns, rows)) };
    let lead = "Where the published results stand. They were copied from there and not measured again.";
    Section { id: "sources", title: "Sources", lead: lead.to_owned(), body }
}

#[cfg(test)]
mod tests {
    use super::super::figure::draw;
    use super::super::test_data::{copy, evaluated};
    use super::*;

    fn accuracy() -> &'static Metric {
        Metric::by_key("accuracy").unwrap()
    }

    #[test]
    fn page_has_measured_and_published_results_and_escapes_text_from_outside() {
        let (copy, evaluated) = (copy(), [evaluated("runs <b>")]);
        let drawn = draw(&copy, accuracy(), &evaluated);
        let page = render(&copy, accuracy(), &evaluated, drawn.as_ref());
        for part in [
            "runs &lt;b&gt;: Accuracy 0.700 [0.600, 0.800], mean over 2 generators; the worst is sd with 0.600.",
            "2 published results from 1 source: Accuracy 0.550 to 0.817.",
            "id=\"figure-means\"",
            "`adm` has 1 fakes",
            "all real images for runs &lt;b&gt;",
            "trained again",
            "table 2",
        ] {
            assert!(page.contains(part), "{part}");
        }
        assert!(page.find("SAFE").unwrap() < page.rfind("NPR").unwrap(), "the higher mean comes first");
        assert!(!page.contains("NaN") && !page.contains("http://") && !page.contains("https://"));
    }

    #[test]
    fn without_published_results_the_page_says_so() {
        let copy = BenchmarkCopy { published: Vec::new(), ..copy() };
        let page = render(&copy, accuracy(), &[evaluated("a")], None);
        assert!(page.contains("knows no published Accuracy") && !page.contains("Published:"));
    }
}
