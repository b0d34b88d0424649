//! Finding the image files in the paths of a command line.

use std::path::{Path, PathBuf};

use pixels::file::has_image_name;
use walkdir::{DirEntry, WalkDir};

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

/// Lists the images of a folder and its subfolders in the order of their names, without hidden ones. A path that is not
/// a folder is returned itself, whatever its name. Folders that cannot be listed are returned with their error.
pub fn find(path: &Path) -> Vec<Found> {
    if !path.is_dir() {
        return vec![Found { path: path.to_owned(), content: Content::File }];
    }
    let visible = |entry: &DirEntry| entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.');
    WalkDir::new(path)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(visible)
        .filter_map(|entry| match entry {
            Ok(entry) if entry.file_type().is_dir() || !is_image(&entry) => None,
            Ok(entry) => Some(Found { path: entry.into_path(), content: Content::File }),
            Err(error) => {
                let at = error.path().unwrap_or(path).to_owned();
                Some(Found { path: at, content: Content::Unreadable(error.to_string()) })
            }
        })
        .collect()
}

fn is_image(entry: &DirEntry) -> bool {
    has_image_name(&entry.file_name().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_images_of_folders_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.PNG", "a.jpg", "notes.txt", ".hidden.jpg"] {
            std::fs::write(dir.path().join(name), b"x").unwrap();
        }
        std::fs::create_dir(dir.path().join("c")).unwrap();
        std::fs::write(dir.path().join("c/d.webp"), b"x").unwrap();
        let names: Vec<String> = find(dir.path())
            .iter()
            .map(|found| found.path.strip_prefix(dir.path()).unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["a.jpg", "b.PNG", "c/d.webp"]);
        let itself = find(&dir.path().join("notes.txt"));
        assert_eq!(itself.len(), 1, "a path that is not a folder is returned itself");
        assert_eq!(find(&dir.path().join("absent.png")).len(), 1);
    }
}
