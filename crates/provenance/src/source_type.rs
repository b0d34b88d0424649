//! IPTC's vocabulary of digital source types (<https://cv.iptc.org/newscodes/digitalsourcetype>) in words.

use crate::clean;

/// Terms and their meaning, in IPTC's sense.
const TERMS: [(&str, &str); 15] = [
    ("trainedAlgorithmicMedia", "made by a generative model"),
    ("compositeWithTrainedAlgorithmicMedia", "a composite with parts made by a generative model"),
    ("compositeSynthetic", "a composite with synthetic parts"),
    ("algorithmicMedia", "made by an algorithm without training data"),
    ("digitalCapture", "captured by a digital camera"),
    ("computationalCapture", "captured by a camera with computation"),
    ("compositeCapture", "a composite of captures"),
    ("negativeFilm", "digitised from a film negative"),
    ("positiveFilm", "digitised from a film positive"),
    ("print", "digitised from a print"),
    ("digitalCreation", "made by a person with digital tools"),
    ("digitalArt", "made by a person with digital tools"),
    ("humanEdits", "edited by a person"),
    ("minorHumanEdits", "with minor edits by a person"),
    ("screenCapture", "a capture of a screen"),
];

/// Returns a term with its meaning.
pub(crate) fn words(term: &str) -> String {
    match TERMS.iter().find(|(known, _)| *known == term) {
        Some((_, meaning)) => format!("{meaning} ({term})"),
        None => clean::text(term),
    }
}

/// Returns the term at the end of a URI of the vocabulary, or the text itself.
pub(crate) fn term(uri: &str) -> &str {
    uri.rsplit('/').next().unwrap_or(uri)
}

/// Whether a term says that the picture, or a part of it, was generated.
pub(crate) fn is_generated(term: &str) -> bool {
    TERMS[..4].iter().any(|(known, _)| *known == term)
}
