//! Scores by generator and by source.

use artifacts::schema::Groups;
use maud::{Markup, html};

use super::widgets::{Section, broad_figure, score_cell};
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

fn table(groups: &Groups, what: &str) -> Markup {
    let caption = format!("by-{}", what.to_lowercase());
    let worst = |key: &str| groups.worst.get(key).map(|worst| worst.name.as_str());
    let scored = [
        ("roc_auc", "ROC-AUC"),
        ("real_accuracy", "Accuracy on real"),
        ("fake_accuracy", "Accuracy on fake"),
        ("f1", "F1 (fake)"),
    ];
    html! {
        div.scroll tabindex="0" role="region" aria-labelledby=(caption) {
            table {
                caption id=(caption) { "By " (what.to_lowercase()) ", at threshold 0.5" }
                thead {
                    tr {
                        th scope="col" { (what) }
                        th.number scope="col" { "Real" }
                        th.number scope="col" { "Fake" }
                        @for (_, name) in scored { th.number scope="col" { (name) } }
                    }
                }
                tbody {
                    @for group in &groups.groups {
                        tr {
                            th scope="row" {
                                (visible(&group.name))
                                @if worst("roc_auc") == Some(group.name.as_str()) && groups.groups.len() > 1 {
                                    " " span.badge { "worst" }
                                }
                            }
                            td.number { (count(group.reals)) }
                            td.number { (count(group.fakes)) }
                            @for (key, _) in scored {
                                @let value = group.scores.named().into_iter().find(|(name, _)| *name == key);
                                (score_cell(value.and_then(|(_, value)| value), group.intervals.get(key)))
                            }
                        }
                    }
                }
                @if groups.groups.len() > 1 {
                    tfoot {
                        tr {
                            th scope="row" { "mean" }
                            td {} td {}
                            @for (key, _) in scored { td.number { (score(groups.mean.get(key).copied())) } }
                        }
                        tr {
                            th scope="row" { "worst" }
                            td {} td {}
                            @for (key, _) in scored { td.number { (score(groups.worst.get(key).map(|worst| worst.value))) } }
                        }
                    }
                }
            }
        }
    }
}
