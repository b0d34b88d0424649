//! Files of folders that are not checked: those that are not pictures, and hidden ones.

use std::fmt;

use artifacts::text::visible;

/// The number of files that are named.
const NAMED: usize = 5;

/// Counts of the files of folders that are not checked. Only the first few names are kept.
#[derive(Debug, Default)]
pub struct LeftOut {
    /// Files that are not pictures in a format that is read.
    others: usize,
    /// The first of them, with their kind.
    named: Vec<String>,
    hidden_files: usize,
    hidden_folders: usize,
}

impl LeftOut {
    /// Adds a file that is not a picture. `kind` is empty if it is unknown.
    pub(crate) fn add_other(&mut self, name: &str, kind: &str) {
        self.others += 1;
        if self.named.len() < NAMED {
            let kind = if kind.is_empty() { String::new() } else { format!(" ({kind})") };
            self.named.push(format!("{}{kind}", visible(name)));
        }
    }

    /// Adds a hidden file or folder.
    pub(crate) fn add_hidden(&mut self, is_folder: bool) {
        self.hidden_folders += usize::from(is_folder);
        self.hidden_files += usize::from(!is_folder);
    }

    /// Whether nothing was left out.
    pub fn is_empty(&self) -> bool {
        self.others + self.hidden_files + self.hidden_folders == 0
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.others > 0 {
            let (are, pictures) = if self.others == 1 { ("is", "a picture") } else { ("are", "pictures") };
            let files = counted(self.others, "file");
            write!(f, "{files} {are} not {pictures} that predict reads: {}", self.named.join(", "))?;
            let more = self.others - self.named.len();
            if more > 0 {
                write!(f, " and {more} more")?;
            }
        }
        let hidden: Vec<String> = [(self.hidden_files, "hidden file"), (self.hidden_folders, "hidden folder")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| counted(count, what))
            .collect();
        if hidden.is_empty() {
            return Ok(());
        }
        let and = if self.others > 0 { "; and " } else { "" };
        let are = if self.hidden_files + self.hidden_folders == 1 { "is" } else { "are" };
        write!(f, "{and}{} {are} left out", hidden.join(" and "))
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_first_files_and_counts_the_rest() {
        let mut left_out = LeftOut::default();
        assert!(left_out.is_empty());
        left_out.add_other("d.psd", "Photoshop PSD");
        assert_eq!(left_out.to_string(), "1 file is not a picture that predict reads: d.psd (Photoshop PSD)");
        left_out.add_other("e\u{1b}[2J", "");
        left_out.add_hidden(false);
        assert_eq!(
            left_out.to_string(),
            "2 files are not pictures that predict reads: d.psd (Photoshop PSD), e\u{fffd}[2J; and 1 hidden file is left \
             out"
        );
        for number in 0..10_000 {
            left_out.add_other(&number.to_string(), "");
            left_out.add_hidden(true);
        }
        assert_eq!(left_out.named.len(), NAMED, "memory does not grow");
        let text = left_out.to_string();
        assert!(
            text.contains("0, 1, 2 and 9997 more; and 1 hidden file and 10000 hidden folders are left out"),
            "{text}"
        );
    }

    #[test]
    fn hidden_files_alone_are_counted() {
        let mut left_out = LeftOut::default();
        left_out.add_hidden(false);
        left_out.add_hidden(false);
        assert_eq!(left_out.to_string(), "2 hidden files are left out");
    }
}
