//! The section with the images on which the verdicts of the detectors differ.

use artifacts::Label;
use artifacts::schema::{Comparison, Disagreement};
use maud::{Markup, html};

use super::detector_names::{all_names, name};
use super::thumbnails::Thumbnails;
use crate::embedded_image::EmbeddedImage;
use crate::escape::{file_name, visible};
use crate::format_number::{count, count_noun, probability};
use crate::html::class_label::class_label;
use crate::html::image::lazy_image;
use crate::html::section::Section;
use crate::html::table::Column::{self, Number, Text};
use crate::html::table::HtmlTable;

/// The maximum number of images in the table. The others are in the CSV file only.
const MAX_ROWS: usize = 60;
/// The maximum number of detectors in the caption of a thumbnail. Of more detectors, only those with the lowest and the
/// highest P(fake) are in the caption.
const MAX_IN_CAPTION: usize = 4;

/// Renders the thumbnails and the table of images with different verdicts.
pub(super) fn section(comparison: &Comparison, thumbnails: &Thumbnails) -> Section {
    let listed = &comparison.disagreements;
    let lead = format!(
        "The detectors give different verdicts at threshold 0.5 on {} of {}. The images with the largest differences in P(fake) \
         come first.",
        count(comparison.disagreeing),
        count_noun(comparison.images, "image")
    );
    let body = html! {
        @if !listed.is_empty() {
            (pictures(comparison, thumbnails))
            (table(comparison))
            p.note.files {
                @if comparison.disagreeing > listed.len() as u64 { "The first " (count(listed.len() as u64)) } @else { "All" }
                " of them: " a href="figures/disagreements.csv" { "CSV" }
            }
        }
    };
    Section { id: "disagreements", title: "Different verdicts", lead, body }
}

fn pictures(comparison: &Comparison, thumbnails: &Thumbnails) -> Markup {
    let shown: Vec<(&Disagreement, &EmbeddedImage)> =
        comparison.disagreements.iter().filter_map(|image| Some((image, thumbnails.of(image)?))).collect();
    html! {
        @if shown.is_empty() {
            p.note {
                "The images are not shown, because no compared run has their pixels. Either the shards were deleted, or the \
                 predictions were read from a file."
            }
        } @else {
            ul.pictures.compared { @for (image, thumbnail) in shown { li { (picture(comparison, image, thumbnail)) } } }
        }
    }
}

fn picture(comparison: &Comparison, image: &Disagreement, thumbnail: &EmbeddedImage) -> Markup {
    let captioned = captioned(image);
    let alt = format!("{} image {}", image.label, file_name(&image.path));
    html! {
        figure.example {
            (lazy_image(thumbnail, &alt))
            figcaption {
                span.verdicts { span { "truth " (class_label(image.label)) } }
                @if !image.generator.is_empty() { span.generator { (visible(&image.generator)) } }
                @for &detector in &captioned {
                    @let p_fake = image.p_fake[detector];
                    span.name title=(visible(&comparison.detectors[detector].name)) { (name(comparison, detector)) }
                    span.p { "P(fake) " (probability(p_fake)) ", " (class_label(verdict(p_fake))) }
                }
                @if captioned.len() < image.p_fake.len() {
                    @let fakes = image.p_fake.iter().filter(|&&p_fake| verdict(p_fake) == Label::Fake).count();
                    span.p { (fakes) " of " (image.p_fake.len()) " detectors: " (class_label(Label::Fake)) }
                }
                span.name title=(visible(&image.path)) { (file_name(&image.path)) }
            }
        }
    }
}

/// Returns the indices of the detectors in the caption of an image.
fn captioned(image: &Disagreement) -> Vec<usize> {
    let mut detectors: Vec<usize> = (0..image.p_fake.len()).collect();
    if detectors.len() > MAX_IN_CAPTION {
        detectors.sort_by(|&a, &b| image.p_fake[a].total_cmp(&image.p_fake[b]));
        detectors = vec![detectors[0], detectors[detectors.len() - 1]];
    }
    detectors
}

/// Returns the verdict at threshold 0.5.
fn verdict(p_fake: f64) -> Label {
    if p_fake >= 0.5 { Label::Fake } else { Label::Real }
}

fn table(comparison: &Comparison) -> Markup {
    let score_columns: Vec<String> = all_names(comparison).into_iter().map(|name| format!("P(fake), {name}")).collect();
    let columns: Vec<Column<'_>> = [Text("File"), Text("Truth"), Text("Generator")]
        .into_iter()
        .chain(score_columns.iter().map(|name| Number(name)))
        .collect();
    let rows = html! { @for image in comparison.disagreements.iter().take(MAX_ROWS) { (row(image)) } };
    html! { (HtmlTable::labelled("images with different verdicts", &columns, rows)) }
}

fn row(image: &Disagreement) -> Markup {
    html! {
        tr {
            td.path title=(visible(&image.path)) { (file_name(&image.path)) }
            td { (class_label(image.label)) }
            td { (visible(&image.generator)) }
            @for &p_fake in &image.p_fake {
                td.number {
                    (probability(p_fake))
                    @if verdict(p_fake) != image.label { span.interval { "wrong" } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_data::comparison;
    use super::*;

    #[test]
    fn caption_has_lowest_and_highest_score_of_many_detectors() {
        let mut image = comparison().disagreements.remove(0);
        assert_eq!(captioned(&image), [0, 1]);
        image.p_fake = vec![0.7, 0.2, 0.4, 0.9, 0.6];
        assert_eq!(captioned(&image), [1, 3]);
    }

    #[test]
    fn says_why_there_are_no_thumbnails() {
        let page = section(&comparison(), &Thumbnails::default()).body.into_string();
        assert!(page.contains("no compared run has their pixels") && !page.contains("<img"), "{page}");
    }
}
