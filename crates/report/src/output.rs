//! Writes the files of a report: pages, figures and tables.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::Error;
use crate::figure::Figure;
use crate::svg_to_png::PngRenderer;
use crate::table::Table;

/// The folder of the figures and their numbers.
pub(crate) const FIGURES_DIR: &str = "figures";

/// The largest file that is put into the page, in bytes.
const MAX_EMBEDDED: u64 = 1 << 20;

/// Puts the files of figures and tables that a page links to into the page, so that the links work in a page that was
/// mailed without its folder. `dir` is the folder of the page. Links to large files stay as they are.
///
/// # Errors
/// A linked file cannot be read.
pub(crate) fn embed_downloads(page: &str, dir: &Path) -> Result<String, Error> {
    let start = format!("href=\"{FIGURES_DIR}/");
    let mut parts = page.split(start.as_str());
    let mut embedded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('"').unwrap_or((part, ""));
        let path = dir.join(FIGURES_DIR).join(name);
        let media_type = match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => "text/csv;charset=utf-8",
            _ => "application/octet-stream",
        };
        let size = fs::metadata(&path).map_err(artifacts::Error::io("read", &path))?.len();
        if size > MAX_EMBEDDED {
            embedded += &format!("{start}{part}");
            continue;
        }
        let bytes = fs::read(&path).map_err(artifacts::Error::io("read", &path))?;
        let data = STANDARD.encode(bytes);
        embedded += &format!("download=\"{name}\" href=\"data:{media_type};base64,{data}\"{rest}");
    }
    Ok(embedded)
}

/// Writes each figure as SVG and PNG, and its numbers as CSV, into the folder `dir`. Creates the folder. `mark` is
/// written on each figure.
pub(crate) fn write_figures<'a>(
    dir: &Path,
    figures: impl IntoIterator<Item = &'a Figure>,
    mark: Option<&str>,
) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(artifacts::Error::io("create", dir))?;
    let renderer = PngRenderer::new();
    for figure in figures {
        let svg = figure.svg_document(mark);
        write_file(&dir.join(format!("{}.png", figure.name)), &renderer.render(&figure.name, &svg)?)?;
        write_file(&dir.join(format!("{}.svg", figure.name)), svg.as_bytes())?;
        write_csv(dir, &figure.name, &figure.numbers)?;
    }
    Ok(())
}

/// Writes a table as `NAME.csv`.
pub(crate) fn write_csv(dir: &Path, name: &str, table: &Table) -> Result<(), Error> {
    let csv = table.to_csv().map_err(|source| Error::Csv { name: name.to_owned(), source })?;
    write_file(&dir.join(format!("{name}.csv")), &csv)
}

/// Writes a file. This is not atomic, because the whole report folder is written under a temporary name and then
/// renamed.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    Ok(fs::write(path, bytes).map_err(artifacts::Error::io("write", path))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_small_files_into_the_page() {
        let dir = tempfile::tempdir().unwrap();
        let figures = dir.path().join(FIGURES_DIR);
        fs::create_dir(&figures).unwrap();
        fs::write(figures.join("a.csv"), "x\n1\n").unwrap();
        fs::write(figures.join("b.csv"), vec![b'1'; MAX_EMBEDDED as usize + 1]).unwrap();
        let page = r##"<a href="figures/a.csv">A</a> <a href="figures/b.csv">B</a> <a href="#c">C</a>"##;
        let embedded = embed_downloads(page, dir.path()).unwrap();
        let expected = r##"<a download="a.csv" href="data:text/csv;charset=utf-8;base64,eAoxCg==">A</a> "##;
        assert!(embedded.starts_with(expected), "{embedded}");
        assert!(embedded.ends_with(r##"<a href="figures/b.csv">B</a> <a href="#c">C</a>"##), "{embedded}");
        assert!(embed_downloads(r##"<a href="figures/none.csv">"##, dir.path()).is_err());
    }
}
