//! Finding the image files in the paths of a command line.

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::{Path, PathBuf};

use pixels::FileKind;
use pixels::file::{ReadError, has_image_name, read_start};
use walkdir::{DirEntry, WalkDir};

use crate::left_out::LeftOut;
use crate::url;

/// A file that was found.
#[derive(Debug)]
pub struct Found {
    /// The path; "-" for standard input.
    pub path: PathBuf,
    /// The content.
    pub content: Content,
}

/// The content of a file that was found.
#[derive(Debug)]
pub enum Content {
    /// The file is on disk and has not been read.
    File,
    /// The bytes of the file.
    Bytes(Vec<u8>),
    /// The file cannot be read, with the error.
    Unreadable(String),
}

/// Lists the images of a folder and its subfolders in the order of their names, without hidden ones.
///
/// A file with the ending of an image is one, and so is any other file whose first bytes are those of an image in a
/// format that is read. The rest is counted in `left_out`. A path that is not a folder is returned itself, whatever its
/// name. URLs, and folders that cannot be listed, are returned with their error.
pub fn find(path: &Path, left_out: &mut LeftOut) -> Vec<Found> {
    if !path.is_dir() {
        let content = url::advice(path, "predict").map_or(Content::File, Content::Unreadable);
        return vec![Found { path: path.to_owned(), content }];
    }
    let left_out = RefCell::new(left_out);
    let is_visible = |entry: &DirEntry| {
        let is_hidden = entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".");
        if is_hidden {
            left_out.borrow_mut().add_hidden(entry.file_type().is_dir());
        }
        !is_hidden
    };
    WalkDir::new(path)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(is_visible)
        .filter_map(|entry| match entry {
            Ok(entry) if entry.file_type().is_dir() => None,
            Ok(entry) => match kind_of_other(&entry) {
                None => Some(Found { path: entry.into_path(), content: Content::File }),
                Some(kind) => {
                    let name = entry.path().strip_prefix(path).unwrap_or(entry.path());
                    left_out.borrow_mut().add_other(&name.to_string_lossy(), &kind);
                    None
                }
            },
            Err(error) => {
                let at = error.path().unwrap_or(path).to_owned();
                Some(Found { path: at, content: Content::Unreadable(error.to_string()) })
            }
        })
        .collect()
}

/// Returns the kind of a file that is not an image, empty if it is unknown. Returns `None` for images. Only the first
/// bytes of files without the ending of an image are read.
fn kind_of_other(entry: &DirEntry) -> Option<Cow<'static, str>> {
    if has_image_name(&entry.file_name().to_string_lossy()) {
        return None;
    }
    match read_start(entry.path(), FileKind::START_BYTES as u64).as_deref().map(FileKind::of) {
        Ok(FileKind::Image(_)) => None,
        Ok(FileKind::Other(name)) => Some(name.into()),
        Ok(FileKind::Unknown) => Some("".into()),
        Err(ReadError::NotAFile) => Some("a pipe or a device".into()),
        Err(error) => Some(format!("unreadable: {error}").into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use pixels::RgbImage;
    use pixels::encode::{Subsampling, jpeg};

    use super::*;

    fn names(found: &[Found], dir: &Path) -> Vec<String> {
        let name = |found: &Found| found.path.strip_prefix(dir).unwrap().to_string_lossy().into_owned();
        found.iter().map(name).collect()
    }

    #[test]
    fn lists_images_of_folders_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let picture = jpeg(&RgbImage::from_fn(8, 8, |_, _| [7; 3]), 90, Subsampling::Quarter).unwrap();
        let files: [(&str, &[u8]); 9] = [
            ("a", &picture),
            ("b.download", &picture),
            // An ending of an image always has a row.
            ("B.PNG", b"x"),
            ("c.jpg", &picture),
            ("d.psd", b"8BPS\0\x01"),
            ("e.svg", b"<svg/>"),
            ("notes.txt", b"hello"),
            (".hidden.jpg", &picture),
            ("sub/f.webp", b"x"),
        ];
        for folder in ["sub", ".git"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        for (name, content) in files {
            fs::write(dir.path().join(name), content).unwrap();
        }
        fs::write(dir.path().join(".git/g.jpg"), &picture).unwrap();
        let mut left_out = LeftOut::default();
        let found = find(dir.path(), &mut left_out);
        assert_eq!(names(&found, dir.path()), ["B.PNG", "a", "b.download", "c.jpg", "sub/f.webp"]);
        assert_eq!(
            left_out.to_string(),
            "3 files are not pictures that predict reads: d.psd (Photoshop PSD), e.svg (SVG), notes.txt (plain text); \
             and 1 hidden file and 1 hidden folder are left out"
        );
    }

    #[test]
    fn returns_a_path_that_is_not_a_folder_itself() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["notes.txt", ".hidden"] {
            fs::write(dir.path().join(name), b"hello").unwrap();
        }
        for name in ["notes.txt", ".hidden", "absent.png"] {
            let mut left_out = LeftOut::default();
            let found = find(&dir.path().join(name), &mut left_out);
            assert_eq!(names(&found, dir.path()), [name]);
            assert!(left_out.is_empty());
        }
    }

    #[test]
    fn url_is_an_error_with_advice() {
        for url in ["https://example.org/a.jpg", "data:image/png;base64,iVBORw0KGgo=", "file:///tmp/absent.jpg"] {
            let found = find(Path::new(url), &mut LeftOut::default());
            assert!(
                matches!(&found[..], [Found { content: Content::Unreadable(why), .. }] if why.contains("predict reads no URLs"))
            );
        }
    }

    /// A file of 1 TB that takes no space: reading all of it would not end.
    #[cfg(unix)]
    #[test]
    fn reads_only_the_start_of_other_files() {
        let dir = tempfile::tempdir().unwrap();
        let file = fs::File::create(dir.path().join("a.bin")).unwrap();
        file.set_len(1 << 40).unwrap();
        let mut left_out = LeftOut::default();
        assert!(find(dir.path(), &mut left_out).is_empty());
        assert!(left_out.to_string().contains("a.bin (nothing but zero bytes)"), "{left_out}");
    }
}
