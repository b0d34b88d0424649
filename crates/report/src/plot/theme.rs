//! The colours of figures. Real and fake are blue and vermillion from Okabe and Ito's palette ("Color Universal
//! Design", 2008), which is distinguishable with any kind of colour vision.

/// A colour, named by what it is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    /// Main text.
    Text,
    /// Tick labels and notes.
    Muted,
    /// Grid lines.
    Grid,
    /// Axes and reference lines.
    Axis,
    /// Real images.
    Real,
    /// Fakes.
    Fake,
    /// The main run or series.
    Primary,
    /// A second series.
    Secondary,
    /// Less important data, such as the other training runs behind the main one.
    Faint,
    /// The marker of the threshold.
    Marker,
    /// The background.
    Background,
}

impl Colour {
    /// All colours.
    #[cfg(test)]
    pub(crate) const ALL: [Colour; 11] = [
        Colour::Text,
        Colour::Muted,
        Colour::Grid,
        Colour::Axis,
        Colour::Real,
        Colour::Fake,
        Colour::Primary,
        Colour::Secondary,
        Colour::Faint,
        Colour::Marker,
        Colour::Background,
    ];

    /// Returns the suffix of the CSS classes: `f-real` fills, `s-real` strokes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Colour::Text => "text",
            Colour::Muted => "muted",
            Colour::Grid => "grid",
            Colour::Axis => "axis",
            Colour::Real => "real",
            Colour::Fake => "fake",
            Colour::Primary => "primary",
            Colour::Secondary => "secondary",
            Colour::Faint => "faint",
            Colour::Marker => "marker",
            Colour::Background => "background",
        }
    }

    /// Returns the colour of shapes on white.
    pub(crate) fn light(self) -> &'static str {
        match self {
            Colour::Text => "#1c1d21",
            Colour::Muted => "#5c5f66",
            Colour::Grid => "#e4e2dc",
            Colour::Axis => "#8b8d93",
            Colour::Real => "#0072b2",
            Colour::Fake => "#d55e00",
            Colour::Primary => "#3d3a8c",
            Colour::Secondary => "#b3701a",
            Colour::Faint => "#a9a7c9",
            Colour::Marker => "#1c1d21",
            Colour::Background => "#ffffff",
        }
    }

    /// Returns the colour of text on white, dark enough for WCAG level AA.
    pub(crate) fn light_text(self) -> &'static str {
        match self {
            Colour::Real => "#00619a",
            Colour::Fake => "#a54800",
            Colour::Secondary => "#855010",
            other => other.light(),
        }
    }

    /// Returns the CSS class that fills a shape.
    pub(crate) fn fill_class(self) -> String {
        format!("f-{}", self.name())
    }

    /// Returns the CSS class that strokes a line.
    pub(crate) fn stroke_class(self) -> String {
        format!("s-{}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_sheet_has_classes_for_every_colour() {
        let style = include_str!("../../assets/report.css");
        for colour in Colour::ALL {
            assert!(style.contains(&format!(".{} {{", colour.fill_class())), "{colour:?}");
            assert!(style.contains(&format!(".{} {{", colour.stroke_class())), "{colour:?}");
        }
    }
}
