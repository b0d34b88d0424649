//! Sets of JPEG files for the benchmarks of ingest.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use artifacts::stage::Failure;
use artifacts::{atomic, progress};
use orchestrator::process;

use super::programs::{example, folder};

/// Side in pixels and number of files of each simulated set. Ingest takes seconds for each set, so its start-up time is
/// negligible.
const SIMULATED: [(u32, u32); 2] = [(256, 1600), (512, 400)];

/// A set of JPEG files.
pub(crate) struct JpegSet {
    /// The last word of its results' names.
    pub(crate) name: String,
    /// The number of files.
    pub(crate) count: usize,
    /// A file with one path a line, for the programs that decode.
    pub(crate) list: PathBuf,
    /// A CSV file with path, label and split, for ingest.
    pub(crate) csv: PathBuf,
}

/// Returns the files below `given` as one set, or the simulated sets if there is no `given` folder. Makes the simulated
/// sets if they do not exist yet.
pub(crate) fn jpeg_sets(given: Option<&Path>) -> Result<Vec<JpegSet>, Failure> {
    if let Some(given) = given {
        // `.` and `..` have no file name until they are resolved.
        let resolved = fs::canonicalize(given).unwrap_or_else(|_| given.to_owned());
        let name = resolved.file_name().unwrap_or_default().to_string_lossy();
        let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        return Ok(vec![list_files(&name, given)?]);
    }
    SIMULATED.into_iter().map(|(side, count)| list_files(&side.to_string(), &simulate(side, count)?)).collect()
}

/// Makes a folder of simulated files, unless it exists. Returns its path.
fn simulate(side: u32, count: u32) -> Result<PathBuf, Failure> {
    let made = folder()?.join(format!("{count}-jpegs-of-{side}"));
    if !made.is_dir() {
        progress::line(&format!("making {count} simulated JPEGs of {side}x{side}"));
        // The folder is renamed when it is complete, so that an interrupted run leaves no incomplete set.
        let partial = made.with_extension("partial");
        atomic::remove_dir(&partial)?;
        let mut command = std::process::Command::new(example("simulated-folder")?);
        process::run(command.arg(format!("train={count},test=0,size={side}")).arg(&partial))?;
        fs::rename(&partial, &made).map_err(Failure::failed)?;
    }
    Ok(made)
}

/// Finds the JPEG files below a folder and writes the list and the CSV file.
fn list_files(name: &str, from: &Path) -> Result<JpegSet, Failure> {
    let unreadable = |error| Failure::input(format!("failed to list {}: {error}", from.display()));
    let root = fs::canonicalize(from).map_err(unreadable)?;
    let mut files = Vec::new();
    find_jpegs(&root, &mut files).map_err(unreadable)?;
    files.sort();
    if files.is_empty() {
        return Err(Failure::input(format!("there is no JPEG file (.jpg, .jpeg) in {}", from.display())));
    }
    let (list, csv) = (folder()?.join(format!("{name}.txt")), folder()?.join(format!("{name}.csv")));
    fs::write(&list, files.join("\n")).map_err(Failure::failed)?;
    fs::write(&csv, csv_text(&files)).map_err(Failure::failed)?;
    Ok(JpegSet { name: name.to_owned(), count: files.len(), list, csv })
}

/// Returns the CSV text, in which all files are training images. The labels alternate, because they do not affect the
/// speed.
fn csv_text(files: &[String]) -> String {
    let mut text = "path,label,split\n".to_owned();
    for (i, file) in files.iter().enumerate() {
        let label = if i % 2 == 0 { "real" } else { "fake" };
        let _ = writeln!(text, "\"{}\",{label},train", file.replace('"', "\"\""));
    }
    text
}

/// Adds the paths of the JPEG files below `folder`. Leaves out paths that are not UTF-8 or contain a line break,
/// because the list has one path per line.
fn find_jpegs(folder: &Path, files: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        if entry.file_type()?.is_dir() {
            find_jpegs(&path, files)?;
        } else if (extension == "jpg" || extension == "jpeg")
            && let Some(path) = path.to_str().filter(|path| !path.contains('\n'))
        {
            files.push(path.to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_jpegs_by_extension_in_nested_folders() {
        let root = std::env::temp_dir().join(format!("candling-bench-{}", std::process::id()));
        fs::create_dir_all(root.join("a/b")).unwrap();
        for name in ["a/b/1.JPG", "a/2.jpeg", "3.png", "jpg"] {
            fs::write(root.join(name), "").unwrap();
        }
        let mut files = Vec::new();
        find_jpegs(&root, &mut files).unwrap();
        files.sort();
        let names: Vec<_> = files.iter().map(|path| path.strip_prefix(root.to_str().unwrap()).unwrap()).collect();
        assert_eq!(names, ["/a/2.jpeg", "/a/b/1.JPG"]);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn csv_quotes_paths() {
        let files = ["/x/a,b.jpg".to_owned(), "/x/\"c\".jpg".to_owned()];
        let expected = "path,label,split\n\"/x/a,b.jpg\",real,train\n\"/x/\"\"c\"\".jpg\",fake,train\n";
        assert_eq!(csv_text(&files), expected);
    }
}
