//! Finding the image that a row is about, by hash or by path.

use std::collections::HashMap;

use artifacts::hash::Hash;

use crate::images::Image;
use crate::input::Row;
use crate::paths::clean_path;

/// The images by hash and by file name.
pub(crate) struct ImageIndex<'a> {
    images: &'a [Image],
    by_id: HashMap<Hash, usize>,
    by_path: HashMap<&'a str, usize>,
    by_file_name: HashMap<&'a str, Vec<usize>>,
    by_stem: HashMap<&'a str, Vec<usize>>,
}

/// The image of a row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// The image with this index.
    Image(usize),
    /// No image.
    None,
    /// Several images fit the path.
    Ambiguous(usize, usize),
}

impl<'a> ImageIndex<'a> {
    pub(crate) fn new(images: &'a [Image]) -> ImageIndex<'a> {
        let (mut by_id, mut by_path) = (HashMap::new(), HashMap::new());
        let (mut by_file_name, mut by_stem): (HashMap<_, Vec<usize>>, HashMap<_, Vec<usize>>) = Default::default();
        for (index, image) in images.iter().enumerate() {
            by_id.insert(image.id, index);
            by_path.insert(image.path.as_str(), index);
            let name = file_name(&image.path);
            by_file_name.entry(name).or_default().push(index);
            by_stem.entry(stem(name)).or_default().push(index);
        }
        ImageIndex { images, by_id, by_path, by_file_name, by_stem }
    }

    /// Finds the image of a row: by its hash, otherwise by its path, otherwise by its file name without the extension.
    ///
    /// A path fits an image if one of both paths ends with the other, part by part. So the paths in a file may start
    /// with other folders than those of the source, or with none.
    pub(crate) fn find(&self, row: &Row, replaced: &[(String, String)]) -> Match {
        if let Some(&index) = row.hash.as_ref().and_then(|hash| self.by_id.get(hash)) {
            return Match::Image(index);
        }
        let Some(written) = &row.path else { return Match::None };
        if let Some(&index) = self.by_path.get(written.as_str()) {
            return Match::Image(index);
        }
        let path = replace_prefix(&clean_path(written), replaced);
        if let Some(&index) = self.by_path.get(path.as_str()) {
            return Match::Image(index);
        }
        let by_name = self.by_file_name.get(file_name(&path)).map_or(&[][..], Vec::as_slice);
        match self.best(by_name, &path, |image| image) {
            // A name without an extension, such as a number in a column `id`.
            Match::None => {
                let by_stem = self.by_stem.get(file_name(&path)).map_or(&[][..], Vec::as_slice);
                self.best(by_stem, &path, without_extension)
            }
            found => found,
        }
    }

    /// Of the candidates whose path fits, returns the one that has the most in common with the path.
    fn best(&self, candidates: &[usize], path: &str, of_image: fn(&str) -> &str) -> Match {
        let common = |&index: &usize| {
            let image = of_image(&self.images[index].path);
            ends_alike(image, path).then_some((image.len().min(path.len()), index))
        };
        let mut fitting: Vec<(usize, usize)> = candidates.iter().filter_map(common).collect();
        fitting.sort_by_key(|(length, index)| (std::cmp::Reverse(*length), *index));
        match fitting.as_slice() {
            [] => Match::None,
            [first, second, ..] if first.0 == second.0 => Match::Ambiguous(first.1, second.1),
            [first, ..] => Match::Image(first.1),
        }
    }
}

/// Whether one path ends with the other, at the border of a part.
fn ends_alike(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    long.strip_suffix(short).is_some_and(|front| front.is_empty() || front.ends_with('/'))
}

fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

fn without_extension(path: &str) -> &str {
    &path[..path.len() - (file_name(path).len() - stem(file_name(path)).len())]
}

/// Replaces the first prefix that a cleaned path starts with, at the border of a part.
fn replace_prefix(path: &str, replaced: &[(String, String)]) -> String {
    for (old, new) in replaced {
        let old = clean_path(old);
        if let Some(rest) =
            path.strip_prefix(&old).filter(|rest| rest.is_empty() || rest.starts_with('/') || old.is_empty())
        {
            return clean_path(&format!("{new}/{rest}"));
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::ScoreColumn;

    fn image(path: &str) -> Image {
        Image {
            path: path.to_owned(),
            id: Hash::of(path.as_bytes()),
            label: None,
            split: None,
            generator: String::new(),
        }
    }

    fn row(path: &str) -> Row {
        Row {
            line: 1,
            path: Some(path.to_owned()),
            hash: None,
            score: 0.5,
            column: ScoreColumn::Score,
            verdict: None,
            label: None,
            generator: None,
            split: None,
            model: None,
            run: 0,
            report_cells: Default::default(),
        }
    }

    fn find(images: &[&str], path: &str) -> Match {
        let images: Vec<Image> = images.iter().map(|path| image(path)).collect();
        ImageIndex::new(&images).find(&row(path), &[])
    }

    const IMAGES: [&str; 3] = ["test/0_real/coco/1.jpg", "test/1_fake/sd/1.jpg", "test/1_fake/sd/2.png"];

    #[test]
    fn matches_paths_with_other_or_no_folders_before_them() {
        for path in [
            "test/1_fake/sd/1.jpg",
            "./test/1_fake//sd/1.jpg",
            "/home/someone/data/test/1_fake/sd/1.jpg",
            r"D:\data\test\1_fake\sd\1.jpg",
            "file:///data/test/1_fake/sd/1.jpg",
            "sd/1.jpg",
            "data/tmp/../test/1_fake/sd/1.jpg",
        ] {
            assert_eq!(find(&IMAGES, path), Match::Image(1), "{path}");
        }
        assert_eq!(find(&IMAGES, "2.png"), Match::Image(2));
    }

    #[test]
    fn does_not_guess() {
        assert_eq!(find(&IMAGES, "1.jpg"), Match::Ambiguous(0, 1));
        // The file name is that of an image, but neither path ends with the other.
        assert_eq!(find(&IMAGES, "train/1_fake/sd/2.png"), Match::None);
        assert_eq!(find(&IMAGES, "d/2.png"), Match::None);
        assert_eq!(find(&IMAGES, "3.png"), Match::None);
        assert_eq!(find(&IMAGES, "2.jpg"), Match::None);
    }

    #[test]
    fn prefers_the_image_with_most_in_common() {
        assert_eq!(find(&["a.jpg", "x/a.jpg"], "data/x/a.jpg"), Match::Image(1));
        assert_eq!(find(&["a.jpg", "q/x/a.jpg"], "x/a.jpg"), Match::Image(1));
        assert_eq!(find(&["p/x/a.jpg", "q/x/a.jpg"], "x/a.jpg"), Match::Ambiguous(0, 1));
    }

    #[test]
    fn matches_hashes_before_paths_and_names_without_extension_last() {
        let images: Vec<Image> = IMAGES.iter().map(|path| image(path)).collect();
        let index = ImageIndex::new(&images);
        let by_hash = Row { hash: Some(images[2].id), ..row("unknown.jpg") };
        assert_eq!(index.find(&by_hash, &[]), Match::Image(2));
        assert_eq!(index.find(&row("sd/2"), &[]), Match::Image(2));
        assert_eq!(index.find(&row("2"), &[]), Match::Image(2));
    }

    #[test]
    fn replaces_given_prefixes() {
        let images: Vec<Image> = IMAGES.iter().map(|path| image(path)).collect();
        let index = ImageIndex::new(&images);
        let replaced = [("/old/set".to_owned(), "test".to_owned())];
        assert_eq!(index.find(&row("/old/set/1_fake/sd/2.png"), &replaced), Match::Image(2));
        assert_eq!(index.find(&row("/old/settings/1_fake/sd/2.png"), &replaced), Match::None);
    }
}
