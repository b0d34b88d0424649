//! The JPEG files that ingest is measured with.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use artifacts::stage::Failure;
use artifacts::{atomic, progress};

use super::programs::{example, folder};
use crate::programs;

/// Sides of the simulated files in pixels, and how many there are: some seconds of ingest, so that its start counts little.
const SIMULATED: [(u32, u32); 2] = [(256, 1600), (512, 400)];

/// A set of files, listed for the programs that read them.
pub(crate) struct Images {
    /// The last part of the results' names.
    pub(crate) name: String,
    /// How many there are.
    pub(crate) count: usize,
    /// A path a line.
    pub(crate) list: PathBuf,
    /// The same with a label for each, as ingest reads it.
    pub(crate) csv: PathBuf,
}

/// The files in `given`, or simulated ones, which are made where they are not there yet.
pub(crate) fn sets(given: Option<&Path>) -> Result<Vec<Images>, Failure> {
    if let Some(given) = given {
        let name = given.file_name().unwrap_or_default().to_string_lossy();
        let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        return Ok(vec![listed(&name, given)?]);
    }
    SIMULATED.into_iter().map(|(side, count)| listed(&side.to_string(), &simulated(side, count)?)).collect()
}

/// A folder of simulated files.
fn simulated(side: u32, count: u32) -> Result<PathBuf, Failure> {
    let made = folder()?.join(format!("{count}-jpegs-of-{side}"));
    if !made.is_dir() {
        progress::line(&format!("making {count} simulated JPEGs of {side}x{side}"));
        // Under another name until they are all there.
        let partial = made.with_extension("partial");
        atomic::remove_dir(&partial)?;
        let mut command = std::process::Command::new(example("simulated-folder")?);
        programs::run(command.arg(format!("train={count},test=0,size={side}")).arg(&partial))?;
        fs::rename(&partial, &made).map_err(Failure::failed)?;
    }
    Ok(made)
}

/// Finds the JPEGs below `from` and lists them.
fn listed(name: &str, from: &Path) -> Result<Images, Failure> {
    let unreadable = |error| Failure::input(format!("failed to list {}: {error}", from.display()));
    let root = fs::canonicalize(from).map_err(unreadable)?;
    let mut files = Vec::new();
    find(&root, &mut files).map_err(unreadable)?;
    files.sort();
    if files.is_empty() {
        return Err(Failure::input(format!("there is no JPEG (.jpg, .jpeg) in {}", from.display())));
    }
    let (list, csv) = (folder()?.join(format!("{name}.txt")), folder()?.join(format!("{name}.csv")));
    fs::write(&list, files.join("\n")).map_err(Failure::failed)?;
    fs::write(&csv, labelled(&files)).map_err(Failure::failed)?;
    Ok(Images { name: name.to_owned(), count: files.len(), list, csv })
}

/// All files as training images; what a file is called says nothing of its speed, so the labels are only given in turn.
fn labelled(files: &[String]) -> String {
    let mut text = "path,label,split\n".to_owned();
    for (i, file) in files.iter().enumerate() {
        let label = if i % 2 == 0 { "real" } else { "fake" };
        let _ = writeln!(text, "\"{}\",{label},train", file.replace('"', "\"\""));
    }
    text
}

/// Adds the paths of the JPEGs below `folder`, those that a list can hold.
fn find(folder: &Path, files: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        if entry.file_type()?.is_dir() {
            find(&path, files)?;
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
    fn jpegs_are_found_in_folders_and_nothing_else() {
        let root = std::env::temp_dir().join(format!("candling-bench-{}", std::process::id()));
        fs::create_dir_all(root.join("a/b")).unwrap();
        for name in ["a/b/1.JPG", "a/2.jpeg", "3.png", "jpg"] {
            fs::write(root.join(name), "").unwrap();
        }
        let mut files = Vec::new();
        find(&root, &mut files).unwrap();
        files.sort();
        let names: Vec<_> = files.iter().map(|path| path.strip_prefix(root.to_str().unwrap()).unwrap()).collect();
        assert_eq!(names, ["/a/2.jpeg", "/a/b/1.JPG"]);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn lists_bear_every_name() {
        let files = ["/x/a,b.jpg".to_owned(), "/x/\"c\".jpg".to_owned()];
        let expected = "path,label,split\n\"/x/a,b.jpg\",real,train\n\"/x/\"\"c\"\".jpg\",fake,train\n";
        assert_eq!(labelled(&files), expected);
    }
}
