//! The colours of figures. Real and fake are told apart by the blue and vermillion of Okabe and Ito's palette
//! ("Color Universal Design", 2008), which readers with any colour vision can tell apart.

/// What a shape stands for, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Words and numbers that are read first.
    Text,
    /// Ticks, notes and what is read second.
    Muted,
    /// Lines of a scale behind the data.
    Grid,
    /// The data's frame.
    Axis,
    /// Photographs.
    Real,
    /// Generated images.
    Fake,
    /// The run or series that the text speaks of.
    First,
    /// A second series beside it.
    Second,
    /// Further runs, behind the first.
    Other,
    /// What the reader chose: the threshold.
    Mark,
    /// The ground.
    Paper,
}

impl Ink {
    /// All inks: the style sheet has a class for each.
    #[cfg(test)]
    pub(crate) const ALL: [Ink; 11] = [
        Ink::Text,
        Ink::Muted,
        Ink::Grid,
        Ink::Axis,
        Ink::Real,
        Ink::Fake,
        Ink::First,
        Ink::Second,
        Ink::Other,
        Ink::Mark,
        Ink::Paper,
    ];

    /// The class suffix in the style sheet: `f-real` fills, `s-real` strokes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Ink::Text => "text",
            Ink::Muted => "muted",
            Ink::Grid => "grid",
            Ink::Axis => "axis",
            Ink::Real => "real",
            Ink::Fake => "fake",
            Ink::First => "first",
            Ink::Second => "second",
            Ink::Other => "other",
            Ink::Mark => "mark",
            Ink::Paper => "paper",
        }
    }

    /// The colour on white paper.
    pub(crate) fn light(self) -> &'static str {
        match self {
            Ink::Text => "#1c1d21",
            Ink::Muted => "#5c5f66",
            Ink::Grid => "#e4e2dc",
            Ink::Axis => "#8b8d93",
            Ink::Real => "#0072b2",
            Ink::Fake => "#d55e00",
            Ink::First => "#3d3a8c",
            Ink::Second => "#b3701a",
            Ink::Other => "#a9a7c9",
            Ink::Mark => "#1c1d21",
            Ink::Paper => "#ffffff",
        }
    }

    /// The colour of words on white paper, dark enough to be read (WCAG AA).
    pub(crate) fn light_words(self) -> &'static str {
        match self {
            Ink::Real => "#00619a",
            Ink::Fake => "#a54800",
            Ink::Second => "#855010",
            other => other.light(),
        }
    }

    /// Class for the inside of a shape.
    pub(crate) fn fill_class(self) -> String {
        format!("f-{}", self.name())
    }

    /// Class for the line of a shape.
    pub(crate) fn stroke_class(self) -> String {
        format!("s-{}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ink_has_its_classes() {
        let style = include_str!("../../assets/report.css");
        for ink in Ink::ALL {
            assert!(style.contains(&format!(".{} {{", ink.fill_class())), "{ink:?}");
            assert!(style.contains(&format!(".{} {{", ink.stroke_class())), "{ink:?}");
        }
    }
}
