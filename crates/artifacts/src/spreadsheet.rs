//! Escaping of CSV cells that people open in a spreadsheet program.

use std::borrow::Cow;

/// Prefixes an apostrophe to text that a spreadsheet program would evaluate as a formula, as OWASP's "CSV Injection"
/// advises.
///
/// Pass the text through [`crate::text::visible`] first, because a line break or tab before the sign would hide the
/// formula from this check. `visible` replaces such a character by U+FFFD, so a leading U+FFFD is escaped too.
pub fn escape_formula(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', char::REPLACEMENT_CHARACTER]) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}
