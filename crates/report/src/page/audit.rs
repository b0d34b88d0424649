//! The audit: whether the classes can be told apart by something that is no trace of generation.

use artifacts::Label;
use artifacts::schema::{Association, Audit, ExactDuplicates, NearDuplicate, Verdict};
use maud::{Markup, html};

use super::widgets::Column::{Number, Words};
use super::widgets::{Section, broad_figure, captioned, head};
use crate::evidence::{Evidence, Ingest};
use crate::figures::{Figures, probes};
use crate::number::{UNDEFINED, count, counted, percent, score, share};
use crate::text::{file_name, visible};

/// The most bins of a feature that are shown; the others are in the CSV.
const MOST_BINS: usize = 16;

/// Verdict, probes, associations and duplicates; nothing where this run has ingested no data.
pub(crate) fn section(evidence: &Evidence, figures: &Figures) -> Option<Section> {
    const ID: &str = "audit";
    const TITLE: &str = "Audit of the data";
    let ingest = evidence.ingest.as_ref()?;
    let Some(audit) = &ingest.audit else {
        let lead = "The data were not audited: whether format, size or compression give the class away is not known. \
                    Set ingest.audit = true to find out.";
        return Some(Section { id: ID, title: TITLE, lead: lead.to_owned(), body: html! {} });
    };
    let lead = format!(
        "A detector that reads file formats, sizes or duplicates scores as well as one that reads traces of generation, \
         until it meets other data. {} were looked at before any training{}.",
        counted(audit.images, "image"),
        acted(ingest)
    );
    let body = html! {
        (verdict(audit))
        @if !audit.shortcuts.is_empty() { (shortcuts(audit)) }
        @if let Some(drawn) = &figures.audit { (broad_figure(drawn)) }
        (probe_table(audit))
        (associations(audit))
        @if let Some(found) = audit.exact_duplicates { (exact_duplicates(found)) }
        (near_duplicates(audit, ingest))
    };
    Some(Section { id: ID, title: TITLE, lead, body })
}

/// What ingest was told to do about shortcuts.
fn acted(ingest: &Ingest) -> String {
    let config = &ingest.manifest.config;
    let mut done = Vec::new();
    if let (Some(format), Some(quality)) =
        (config["reencode"]["format"].as_str(), config["reencode"]["quality"].as_u64())
    {
        done.push(format!("saved again as {} of quality {quality}", visible(format).to_uppercase()));
    }
    if config["strip"].as_bool() == Some(true) {
        done.push("stripped of all metadata".to_owned());
    }
    if config["drop_near_duplicates"].as_bool() == Some(true) {
        done.push("rid of near-duplicates".to_owned());
    }
    if done.is_empty() { String::new() } else { format!(", after all of them had been {}", done.join(" and ")) }
}

fn verdict(audit: &Audit) -> Markup {
    match audit.verdict {
        Verdict::Pass => html! {
            p.audit.pass {
                strong { "Pass." } " No shortcut was found: neither the files' formats, sizes and metadata nor colours nor \
                a thumbnail tell the classes apart well enough to explain a good score."
            }
        },
        Verdict::Warning => html! {
            p.audit.warning {
                strong { "Warning." } " The classes can be told apart without looking for traces, by "
                (audit.shortcuts.iter().map(|shortcut| visible(&shortcut.feature)).collect::<Vec<_>>().join(", "))
                ". What the scores of this report measure may be that."
            }
        },
    }
}

fn shortcuts(audit: &Audit) -> Markup {
    let rows = html! {
        (head(&[Words("What"), Number("ROC-AUC alone"), Words("How, and what to do")]))
        tbody {
            @for shortcut in &audit.shortcuts {
                tr {
                    th scope="row" { (visible(&shortcut.feature)) }
                    td.number { (score(shortcut.roc_auc)) }
                    td.wordy { (visible(&shortcut.explanation)) }
                }
            }
        }
    };
    captioned("shortcuts-caption", None, &html! { "Shortcuts" }, &rows)
}

fn probe_table(audit: &Audit) -> Markup {
    let probes = probes(audit);
    let caption = html! {
        "Three classifiers that see no trace, each cross-validated over " (probes[0].2.folds) " folds of "
        (counted(audit.sampled, "image"))
    };
    let rows = html! {
        (head(&[Words("It sees"), Number("ROC-AUC"), Words("Carried by")]))
        tbody {
            @for (name, sees, probe) in probes {
                tr {
                    th scope="row" { (name) span.interval.words { (sees) } }
                    td.number { (score(probe.roc_auc)) }
                    td.wordy {
                        @if probe.carried_by.is_empty() { "nothing: no feature varies" }
                        @for (i, carrier) in probe.carried_by.iter().enumerate() {
                            @if i > 0 { "; " }
                            (visible(&carrier.feature)) " " (percent(Some(carrier.share)))
                        }
                    }
                }
            }
        }
    };
    captioned("probes-caption", None, &caption, &rows)
}

fn associations(audit: &Audit) -> Markup {
    let (telling, constant): (Vec<&Association>, Vec<&Association>) =
        audit.associations.iter().partition(|feature| feature.bins.len() > 1);
    let constant: Vec<String> = constant.iter().map(|feature| visible(&feature.feature)).collect();
    html! {
        @if !telling.is_empty() { (association_table(&telling)) }
        @if !constant.is_empty() {
            p.note { "The same for all images, so that they tell nothing: " (constant.join(", ")) "." }
        }
        p.note {
            "A file may declare how it was made (a generator's parameters, IPTC, C2PA). That it declares nothing proves nothing: \
             all of it is lost when a picture is saved again."
        }
        p.note.files { "All counts: " a href="figures/audit-bins.csv" { "CSV" } }
    }
}

fn association_table(telling: &[&Association]) -> Markup {
    let rows = html! {
        thead {
            tr {
                th scope="col" { "Feature" }
                th.number scope="col" { "ROC-AUC alone" }
                th.number scope="col" { abbr title="Cramér's V, from 0 for none to 1 where it decides the class" { "Cramér's V" } }
                th.number scope="col" { abbr title="Mutual information of feature and class" { "Bits" } }
                th scope="col" { "Values by class" }
            }
        }
        tbody { @for feature in telling { (association(feature)) } }
    };
    let caption = html! { "How strongly each feature of a file goes with the class" };
    captioned("associations-caption", Some("associations"), &caption, &rows)
}

fn association(feature: &Association) -> Markup {
    html! {
        tr {
            th scope="row" { (visible(&feature.feature)) }
            td.number { (score(feature.roc_auc)) }
            td.number { (score(Some(feature.cramers_v))) }
            td.number { (score(Some(feature.mutual_information))) }
            td {
                details {
                    summary { (counted(feature.bins.len() as u64, "value")) span.unseen { " of " (visible(&feature.feature)) } }
                    table.bins {
                        (head(&[Words("Value"), Number("Real"), Number("Fake"), Number("Share fake")]))
                        tbody {
                            @for bin in feature.bins.iter().take(MOST_BINS) {
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

fn exact_duplicates(found: ExactDuplicates) -> Markup {
    let ExactDuplicates { within_a_split, across_splits, across_labels, leaked_test_images } = found;
    html! {
        h3 { "Files with the same bytes" }
        @if within_a_split + across_splits + across_labels == 0 {
            p.note { "There are none in the source." }
        } @else {
            p {
                "Of files with the same bytes one is used, a test image before any other. Left out: "
                (counted(within_a_split, "file")) " for one in the same split, " (count(across_splits)) " for one in another, "
                (count(across_labels)) " because the same bytes stand under both labels."
                @if leaked_test_images > 0 {
                    " The source has " (counted(leaked_test_images, "test image")) " in training or validation as well; models that were \
                    trained on all of it score on what they have seen."
                }
            }
        }
    }
}

fn near_duplicates(audit: &Audit, ingest: &Ingest) -> Markup {
    let found = &audit.near_duplicates;
    let total = found.within_a_split + found.across_splits;
    let shown: Vec<&NearDuplicate> = found
        .pairs
        .iter()
        .take(ingest.shown_pairs)
        .filter(|pair| pair.paths.iter().any(|path| ingest.stored.contains_key(path)))
        .collect();
    html! {
        h3 { "Near-duplicates" }
        @if total == 0 {
            p.note {
                "None were found. Pictures that are the same but for size, compression or a flip were looked for; those that \
                 are slight crops of one another are found in part only."
            }
        } @else {
            p {
                (counted(total, "pair")) " of pictures that are the same but for size, compression, a flip or a slight crop \
                (crops are found in part only): "
                (count(found.within_a_split)) " within a split, " (count(found.across_splits)) " across splits, "
                (count(found.across_labels)) " with both labels. "
                (leaked(found.leaked_test_images, "test image")) " in training or validation."
                @if let Some(images) = found.leaked_val_images { " " (leaked(images, "validation image")) " in training." }
            }
            @if shown.is_empty() {
                p.note { "Their pictures are not shown: the shards that hold them are not there." }
            } @else {
                ul.pairs { @for pair in &shown { li { (duplicate(pair, ingest)) } } }
            }
            @if total > shown.len() as u64 {
                p.note.files {
                    (if shown.is_empty() { "All" } else { "All of them, as far as they are listed" }) ": "
                    a href="figures/near-duplicates.csv" { "CSV" }
                }
            }
        }
    }
}

/// "3 test images have one".
fn leaked(images: u64, what: &str) -> String {
    format!("{} {} one", counted(images, what), if images == 1 { "has" } else { "have" })
}

fn duplicate(pair: &NearDuplicate, ingest: &Ingest) -> Markup {
    html! {
        figure.pair {
            div.images {
                @for (path, split) in pair.paths.iter().zip(pair.splits) {
                    figure {
                        @match ingest.stored.get(path) {
                            Some(stored) => {
                                img src=(stored.picture.address) width=(stored.picture.width) height=(stored.picture.height)
                                    loading="lazy" decoding="async"
                                    alt={ (stored.label) " image of the " (split) " split: " (file_name(path)) } {}
                                figcaption { (label(stored.label)) ", " (split) }
                            }
                            None => figcaption { (UNDEFINED) " " (split) }
                        }
                    }
                }
            }
            figcaption {
                span.p {
                    "similarity " (format!("{:.3}", pair.similarity))
                    @if pair.flipped { ", mirrored" }
                    @if pair.labels_differ { ", " strong { "both labels" } }
                }
                @for path in &pair.paths { span.name title=(visible(path)) { (visible(path)) } }
            }
        }
    }
}

fn label(label: Label) -> Markup {
    html! { span class={ "label " (label) } { (label) } }
}
