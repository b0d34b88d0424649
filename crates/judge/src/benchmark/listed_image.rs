//! An image of a benchmark.

use artifacts::{Label, Split};

use super::{Protocol, pattern};

/// An image of a benchmark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedImage {
    /// Its path below the root, with `/` between parts. In a table, the path of the table and the number of the row.
    pub path: String,
    /// Its class.
    pub label: Label,
    /// Its split.
    pub split: Split,
    /// The generator of a fake; of a real image, the generators whose fakes it is compared with, or none for all.
    pub generators: Vec<String>,
}

impl ListedImage {
    /// Returns the image of a file below the root by the first rule that matches its folders.
    pub(super) fn of_file(protocol: &Protocol, path: &str) -> Option<ListedImage> {
        let mut folders: Vec<&str> = path.split('/').collect();
        folders.pop();
        protocol.images.iter().find_map(|rule| {
            let folder = pattern::matches(&rule.folder, &folders)?;
            let of_folder = match folder {
                "" => None,
                name => Some(protocol.generator(name)?),
            };
            let generators = match rule.with.as_slice() {
                [] => rule.generator.clone().or(of_folder).into_iter().collect(),
                with => with.to_vec(),
            };
            Some(ListedImage { path: path.to_owned(), label: rule.label, split: rule.split, generators })
        })
    }
}
