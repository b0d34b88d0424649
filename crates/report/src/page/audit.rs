//! The data audit: whether real images and fakes differ in properties other than traces of generation.

use artifacts::schema::{Association, Audit, Verdict};
use maud::{Markup, html};

use super::duplicates::{exact_duplicates, near_duplicates};
use crate::escape::visible;
use crate::figures::Figures;
use crate::format_number::{count, count_noun, percent, score, share};
use crate::html::figure::wide_figure;
use crate::html::section::Section;
use crate::html::table::Column::{Number, NumberWithTooltip, Text};
use crate::html::table::{HtmlTable, column_headings};
use crate::probes::probes;
use crate::run_results::{IngestResults, RunResults};

/// The maximum number of values of a feature that are shown. The others are in the CSV file only.
const MAX_BINS: usize = 16;

/// Renders the verdict, the probes, the features and the duplicates. Returns `None` if the run ingested no data.
pub(crate) fn section(results: &RunResults, figures: &Figures) -> Option<Section> {
    const ID: &str = "audit";
    const TITLE: &str = "Data audit";
    let ingest = results.ingest.as_ref()?;
    let Some(audit) = &ingest.audit else {
        let lead = "The data were not audited, so it is unknown whether format, size or compression separate real images \
                    from fakes. Set ingest.audit = true to audit them.";
        return Some(Section { id: ID, title: TITLE, lead: lead.to_owned(), body: html! {} });
    };
    let lead = format!(
        "If real images and fakes differ in file format, size or subject, a model can learn this shortcut instead of traces of \
         generation. It then scores well here and fails on other data. The audit checked {} before training{}.",
        count_noun(audit.images, "image"),
        preparation(ingest)
    );
    let body = html! {
        (verdict(audit))
        @if !audit.shortcuts.is_empty() { (shortcuts(audit)) }
        @if let Some(drawn) = &figures.audit { (wide_figure(drawn)) }
        (probe_table(audit))
        (features(audit))
        @if let Some(found) = audit.exact_duplicates { (exact_duplicates(found)) }
        (near_duplicates(&audit.near_duplicates, ingest))
    };
    Some(Section { id: ID, title: TITLE, lead, body })
}

/// Describes how ingest removed possible shortcuts before the audit.
fn preparation(ingest: &IngestResults) -> String {
    let config = &ingest.manifest.config;
    let mut steps = Vec::new();
    if let (Some(format), Some(quality)) =
        (config["reencode"]["format"].as_str(), config["reencode"]["quality"].as_u64())
    {
        steps.push(format!("all images were re-encoded as {} of quality {quality}", visible(format).to_uppercase()));
    }
    if config["strip"].as_bool() == Some(true) {
        steps.push("all metadata were removed".to_owned());
    }
    if config["drop_near_duplicates"].as_bool() == Some(true) {
        steps.push("near-duplicates were removed".to_owned());
    }
    if steps.is_empty() { String::new() } else { format!(", after {}", steps.join(" and ")) }
}

fn verdict(audit: &Audit) -> Markup {
    match audit.verdict {
        Verdict::Inconclusive => html! {
            p.audit.warning {
                strong { "Inconclusive." } " The audit found no shortcut, but "
                (audit.why_inconclusive().unwrap_or_default()) "."
            }
        },
        Verdict::Pass => html! {
            p.audit.pass {
                strong { "Pass." } " The audit found no shortcut: neither file format, size and metadata nor colours nor a \
                thumbnail separate the classes well enough to explain a good score."
                @if let Some(roc_auc) = audit.detectable_roc_auc {
                    " With this many images, a file property with a ROC-AUC of " (score(Some(roc_auc)))
                    " or more would probably have been found."
                }
            }
        },
        Verdict::Warning => html! {
            p.audit.warning {
                strong { "Warning." } " The classes can be separated without looking for traces of generation, by "
                (shortcut_names(audit)) ". The scores in this report may be due to this."
            }
        },
    }
}

/// Lists the shortcuts, as in "format, width and height".
fn shortcut_names(audit: &Audit) -> String {
    let names: Vec<String> = audit.shortcuts.iter().map(|shortcut| visible(&shortcut.feature)).collect();
    match names.as_slice() {
        [] => String::new(),
        [name] => name.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn shortcuts(audit: &Audit) -> Markup {
    let columns = [Text("Shortcut"), Number("ROC-AUC alone"), Text("Explanation and remedy")];
    let rows = html! {
        @for shortcut in &audit.shortcuts {
            tr {
                th scope="row" { (visible(&shortcut.feature)) }
                td.number { (score(shortcut.roc_auc)) }
                td.wordy { (visible(&shortcut.explanation)) }
            }
        }
    };
    html! { (HtmlTable::captioned("shortcuts-caption", html! { "Shortcuts" }, &columns, rows)) }
}

fn probe_table(audit: &Audit) -> Markup {
    let probes = probes(audit);
    let caption = html! {
        "Three small classifiers that cannot see traces of generation, cross-validated over " (probes[0].result.folds)
        " folds of " (count_noun(audit.sampled, "image"))
    };
    let columns = [Text("Input"), Number("ROC-AUC"), Text("Most informative features")];
    let rows = html! {
        @for probe in probes {
            tr {
                th scope="row" { (probe.name) span.interval.words { (probe.input) } }
                td.number { (score(probe.result.roc_auc)) }
                td.wordy {
                    @if probe.result.carried_by.is_empty() { "none: no feature varies" }
                    @for (i, carrier) in probe.result.carried_by.iter().enumerate() {
                        @if i > 0 { "; " }
                        (visible(&carrier.feature)) " " (percent(Some(carrier.share)))
                    }
                }
            }
        }
    };
    html! { (HtmlTable::captioned("probes-caption", caption, &columns, rows)) }
}

fn features(audit: &Audit) -> Markup {
    let (varying, constant): (Vec<&Association>, Vec<&Association>) =
        audit.associations.iter().partition(|feature| feature.bins.len() > 1);
    let constant: Vec<String> = constant.iter().map(|feature| visible(&feature.feature)).collect();
    html! {
        @if !varying.is_empty() { (feature_table(&varying)) }
        @if !constant.is_empty() {
            p.note { "The same for all images: " (constant.join(", ")) "." }
        }
        p.note {
            "Some files declare how they were made (a generator's parameters, IPTC, C2PA). A file without such a declaration \
             can still be a fake, because the declaration is lost when an image is saved again."
        }
        p.note.files { "All counts: " a href="figures/audit-bins.csv" { "CSV" } }
    }
}

fn feature_table(features: &[&Association]) -> Markup {
    let caption = html! { "Association of each file feature with the class" };
    let columns = [
        Text("Feature"),
        Number("ROC-AUC alone"),
        NumberWithTooltip("Cramér's V", "Cramér's V: 0 means no association, 1 that the feature determines the class"),
        NumberWithTooltip("Bits", "Mutual information of feature and class, in bits"),
        Text("Values by class"),
    ];
    let rows = html! { @for feature in features { (feature_row(feature)) } };
    html! { (HtmlTable::captioned("associations-caption", caption, &columns, rows).class("associations")) }
}

fn feature_row(feature: &Association) -> Markup {
    html! {
        tr {
            th scope="row" { (visible(&feature.feature)) }
            td.number { (score(feature.roc_auc)) }
            td.number { (score(Some(feature.cramers_v))) }
            td.number { (score(Some(feature.mutual_information))) }
            td {
                details {
                    summary {
                        (count_noun(feature.bins.len() as u64, "value"))
                        span.unseen { " of " (visible(&feature.feature)) }
                    }
                    table.bins {
                        (column_headings(&[Text("Value"), Number("Real"), Number("Fake"), Number("Share fake")]))
                        tbody {
                            @for bin in feature.bins.iter().take(MAX_BINS) {
                                tr {
                                    td { (visible(&bin.value)) }
                                    td.number { (count(bin.real)) }
                                    td.number { (count(bin.fake)) }
                                    td.number { (share(bin.fake, bin.total())) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
