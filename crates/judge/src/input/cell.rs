//! The value of a column in a row.

use artifacts::{Label, Split};

/// A value, whatever the kind of file that it comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// Nothing, or null.
    Empty,
    /// Text.
    Text(String),
    /// A number, which may be NaN.
    Number(f64),
    /// Two numbers, such as the logits of both classes.
    Pair([f64; 2]),
}

impl Cell {
    /// The value as text; `None` if it is empty.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Cell::Text(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Cell::Number(number) => Some(number.to_string()),
            Cell::Empty | Cell::Pair(_) => None,
        }
    }

    /// The value as a number. An empty cell is NaN, and the name of a class is 0 or 1.
    ///
    /// # Errors
    /// Text that is neither a number nor the name of a class.
    pub(super) fn number(&self) -> Result<f64, String> {
        match self {
            Cell::Empty => Ok(f64::NAN),
            Cell::Number(number) => Ok(*number),
            Cell::Pair([real, fake]) => Ok(fake - real),
            Cell::Text(text) => match text.trim() {
                "" | "NA" | "N/A" | "null" | "None" => Ok(f64::NAN),
                text => match (text.parse::<f64>(), class(text)) {
                    (Ok(number), _) => Ok(number),
                    (Err(_), Some(label)) => Ok(f64::from(label.index())),
                    (Err(_), None) => Err(format!("`{text}` is not a number")),
                },
            },
        }
    }

    /// The class whose name the value is; `None` for numbers.
    pub(super) fn class_name(&self) -> Option<Label> {
        match self {
            Cell::Text(text) if text.trim().parse::<f64>().is_err() => class(text.trim()),
            _ => None,
        }
    }

    /// The value as a class, by name or as 0 for real and 1 for fake. `None` if it is empty.
    ///
    /// # Errors
    /// Any other value.
    pub(super) fn label(&self) -> Result<Option<Label>, String> {
        let Some(text) = self.text() else { return Ok(None) };
        let number = text.parse::<f64>().ok();
        match number {
            Some(0.0) => Ok(Some(Label::Real)),
            Some(1.0) => Ok(Some(Label::Fake)),
            _ => {
                class(&text).map(Some).ok_or_else(|| format!("`{text}` is not a class; write real or fake, or 0 or 1"))
            }
        }
    }

    /// The value as a split. `None` if it is empty.
    ///
    /// # Errors
    /// A name that is not of a split.
    pub(super) fn split(&self) -> Result<Option<Split>, String> {
        let Some(text) = self.text() else { return Ok(None) };
        Split::from_name(&text).map(Some).ok_or_else(|| format!("`{text}` is not a split; write train, val or test"))
    }

    /// The value as the number of a training run.
    ///
    /// # Errors
    /// Anything but a whole number from 0.
    pub(super) fn run(&self) -> Result<u32, String> {
        let Some(text) = self.text() else { return Ok(0) };
        text.parse().map_err(|_| format!("`{text}` is not the number of a training run; write 0, 1, 2 …"))
    }
}

/// The class that a word names.
fn class(text: &str) -> Option<Label> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(Label::Fake),
        "false" => Some(Label::Real),
        _ => Label::from_name(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    #[test]
    fn reads_numbers_classes_and_missing_values() {
        assert_eq!(text(" 1e-3 ").number(), Ok(0.001));
        assert_eq!((text("FAKE").number(), text("False").number()), (Ok(1.0), Ok(0.0)));
        assert!(text("nan").number().unwrap().is_nan() && text("").number().unwrap().is_nan());
        assert_eq!(text("inf").number(), Ok(f64::INFINITY));
        assert!(text("cat").number().unwrap_err().contains("`cat`"));
        assert_eq!(Cell::Pair([1.0, 3.5]).number(), Ok(2.5));
    }

    #[test]
    fn reads_labels_by_name_and_number() {
        let label = |cell: Cell| cell.label().unwrap();
        assert_eq!((label(text("1_fake")), label(text("0"))), (Some(Label::Fake), Some(Label::Real)));
        assert_eq!((label(Cell::Number(1.0)), label(Cell::Empty)), (Some(Label::Fake), None));
        assert!(Cell::Number(2.0).label().is_err() && text("dog").label().is_err());
    }

    #[test]
    fn reads_splits_and_runs() {
        assert_eq!(text("Validation").split(), Ok(Some(Split::Val)));
        assert!(text("dev").split().unwrap_err().contains("train, val or test"));
        assert_eq!((Cell::Number(2.0).run(), Cell::Empty.run()), (Ok(2), Ok(0)));
        assert!(text("-1").run().is_err());
    }
}
