//! Text from outside in tables that people open in a spreadsheet.

use std::borrow::Cow;

/// The text with an apostrophe in front where a spreadsheet would run it as a formula, as OWASP's "CSV Injection" advises.
/// Line breaks and tabs, which can hide the sign, must have been made visible before; U+FFFD may stand for one.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', char::REPLACEMENT_CHARACTER]) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}
