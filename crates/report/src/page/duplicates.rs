//! Exact and near-duplicates in the data set.

use artifacts::schema::{ExactDuplicates, NearDuplicate, NearDuplicates};
use maud::{Markup, html};

use crate::escape::{file_name, visible};
use crate::format_number::{UNDEFINED, count, count_noun};
use crate::html::class_label::class_label;
use crate::html::image::lazy_image;
use crate::run_results::IngestResults;

/// Renders the counts of files with identical bytes.
pub(super) fn exact_duplicates(found: ExactDuplicates) -> Markup {
    let ExactDuplicates { within_a_split, across_splits, across_labels, leaked_test_images } = found;
    html! {
        h3 { "Identical files" }
        @if within_a_split + across_splits + across_labels == 0 {
            p.note { "The source contains no identical files." }
        } @else {
            p {
                "Of several identical files, only one is used, preferably a test image. Files left out: "
                (count(within_a_split)) " with a copy in the same split, " (count(across_splits))
                " with a copy in another split, and " (count(across_labels))
                " whose copies have different labels (none of these is used)."
                @if leaked_test_images > 0 {
                    " In the source, " (count_noun(leaked_test_images, "test image")) " "
                    (if leaked_test_images == 1 { "is" } else { "are" })
                    " also in the training or validation split. Scores that are published for the whole source include them."
                }
            }
        }
    }
}

/// Renders the counts of near-duplicate pairs and the first pairs with their images.
pub(super) fn near_duplicates(found: &NearDuplicates, ingest: &IngestResults) -> Markup {
    let total = found.within_a_split + found.across_splits;
    let shown: Vec<&NearDuplicate> = found
        .pairs
        .iter()
        .take(ingest.shown_pairs)
        .filter(|pair| pair.paths.iter().any(|path| ingest.pair_images.contains_key(path)))
        .collect();
    html! {
        h3 { "Near-duplicates" }
        @if total == 0 {
            p.note {
                "None were found. The search covers images that differ only in size, compression or a horizontal flip. It finds \
                 only some of the images that are slightly cropped."
            }
        } @else {
            p {
                (count_noun(total, "pair")) " of images differ only in size, compression, a horizontal flip or a slight crop "
                "(only some crops are found): "
                (count(found.within_a_split)) " within a split, " (count(found.across_splits)) " across splits, "
                (count(found.across_labels)) " with different labels. "
                (with_verb(found.leaked_test_images, "test image")) " a near-duplicate in the training or validation split."
                @if let Some(images) = found.leaked_val_images {
                    " " (with_verb(images, "validation image")) " one in the training split."
                }
            }
            @if shown.is_empty() {
                p.note { "The images are not shown, because the shards that contain them are missing." }
            } @else {
                ul.pairs { @for pair in &shown { li { (pair_of_images(pair, ingest)) } } }
            }
            @if total > shown.len() as u64 {
                p.note.files { "All listed pairs: " a href="figures/near-duplicates.csv" { "CSV" } }
            }
        }
    }
}

/// Formats a count with its noun and verb, such as "3 test images have".
fn with_verb(images: u64, noun: &str) -> String {
    format!("{} {}", count_noun(images, noun), if images == 1 { "has" } else { "have" })
}

fn pair_of_images(pair: &NearDuplicate, ingest: &IngestResults) -> Markup {
    html! {
        figure.pair {
            div.images {
                @for (path, split) in pair.paths.iter().zip(pair.splits) {
                    figure {
                        @match ingest.pair_images.get(path) {
                            Some(stored) => {
                                (lazy_image(&stored.image, &format!(
                                    "{} image of the {split} split: {}", stored.label, file_name(path)
                                )))
                                figcaption { (class_label(stored.label)) ", " (split) }
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
                    @if pair.labels_differ { ", " strong { "different labels" } }
                }
                @for path in &pair.paths { span.name title=(visible(path)) { (visible(path)) } }
            }
        }
    }
}
