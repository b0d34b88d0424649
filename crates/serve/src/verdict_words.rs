//! Verdicts and scores in words.

/// A verdict for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Words {
    /// The name of the verdict.
    pub(crate) title: &'static str,
    /// What it means.
    pub(crate) meaning: &'static str,
    /// The class of its style.
    pub(crate) class: &'static str,
}

/// Returns the words for a verdict in JSON. Nothing is ever called real, because the absence of traces proves nothing.
pub(crate) fn of_verdict(verdict: &str) -> Words {
    match verdict {
        "fake" => Words {
            title: "Traces of generation",
            meaning: "The model found traces like those that image generators leave. This is evidence, not proof: \
                look at the rest of this page before you rely on it.",
            class: "traces",
        },
        "real" => Words {
            title: "No traces found",
            meaning: "The model found no traces of the generators that it was trained on. This does not show that the \
                picture is a photograph: other generators leave other traces, and editing or compression can remove them.",
            class: "none",
        },
        _ => Words {
            title: "Inconclusive",
            meaning: "The score is in the range in which the model is often wrong. Do not use it for or against the \
                picture.",
            class: "inconclusive",
        },
    }
}

/// Returns the name of a branch in words.
pub(crate) fn of_branch(branch: &str) -> String {
    match branch {
        "patches" => "Small details (patches)".to_owned(),
        "vit" => "Content and composition (vision transformer)".to_owned(),
        "frequency" => "Frequencies (spectrum)".to_owned(),
        "residual" | "residuals" => "Noise (residuals)".to_owned(),
        "metadata" => "Metadata of the file".to_owned(),
        other => artifacts::text::visible(other),
    }
}

/// Formats a probability without false precision: never 0% or 100%.
pub(crate) fn percent(probability: f64) -> String {
    let percent = probability * 100.0;
    if percent < 0.1 {
        "less than 0.1%".to_owned()
    } else if percent > 99.9 {
        "more than 99.9%".to_owned()
    } else {
        format!("{percent:.1}%")
    }
}

/// Formats a number of bytes.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_verdict_calls_a_picture_real() {
        for verdict in ["fake", "real", "inconclusive", "anything"] {
            let words = of_verdict(verdict);
            let text = format!("{} {}", words.title, words.meaning).to_lowercase();
            assert!(!text.contains("real") && !text.contains("authentic") && !text.contains("genuine"), "{text}");
        }
    }

    #[test]
    fn no_probability_is_certain() {
        assert_eq!(percent(0.0), "less than 0.1%");
        assert_eq!(percent(1.0), "more than 99.9%");
        assert_eq!(percent(0.5), "50.0%");
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!([size(7), size(4_200), size(3_250_000)], ["7 bytes", "4 kB", "3.2 MB"]);
    }
}
