//! Files and sources for the tests, and one-line judgements.

use std::fs;
use std::path::{Path, PathBuf};

use artifacts::schema::{Judged, Metrics};
use artifacts::stage::Failure;
use judge::{JudgedRun, Request, judge};
use tempfile::TempDir;

/// Number of images of each class of the source.
pub(crate) const PER_CLASS: usize = 20;

/// Judges one file into a temporary folder. `change` edits the request.
pub(crate) fn judge_file(path: &Path, change: impl FnOnce(&mut Request)) -> Result<Metrics, Failure> {
    let dir = tempfile::tempdir().unwrap();
    let mut request = request(&[path.to_owned()], &dir.path().join("run"));
    change(&mut request);
    Ok(judge(&request)?.remove(0).metrics)
}

/// A request with few resamples.
pub(crate) fn request(files: &[PathBuf], run_dir: &Path) -> Request {
    let mut request = Request { predictions: files.to_vec(), run_dir: Some(run_dir.to_owned()), ..Request::default() };
    request.config.resamples = 50;
    request
}

/// A folder with a source `set/{test,val}/{0_real,1_fake}/SOURCE/N.jpg`, whose files are no images but have content.
pub(crate) struct Scene {
    pub(crate) dir: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Scene {
        let scene = Scene { dir: tempfile::tempdir().unwrap() };
        for path in scene.paths("test").into_iter().chain(scene.paths("val")) {
            scene.write(&format!("set/{path}"), &format!("content of {path}"));
        }
        scene
    }

    /// The paths of a split in its source, reals first.
    pub(crate) fn paths(&self, split: &str) -> Vec<String> {
        let folder = |fake: bool, i: usize| match (fake, i % 2) {
            (false, _) => "0_real/coco",
            (true, 0) => "1_fake/sd",
            (true, _) => "1_fake/gan",
        };
        let path = |(fake, i): (bool, usize)| format!("{split}/{}/{i:02}.jpg", folder(fake, i));
        let class = |fake: bool| (0..PER_CLASS).map(move |i| (fake, i));
        class(false).chain(class(true)).map(path).collect()
    }

    /// The probability that the made-up detector gives an image: right for most.
    pub(crate) fn score(path: &str) -> f64 {
        let number = path.bytes().fold(0u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
        let noise = f64::from(number % 1000) / 1000.0;
        if path.contains("1_fake") { 0.3 + 0.69 * noise } else { 0.01 + 0.6 * noise }
    }

    /// Rows `path,score` of a split.
    pub(crate) fn rows(&self, split: &str) -> Vec<String> {
        self.paths(split).iter().map(|path| format!("{path},{}", Scene::score(path))).collect()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Writes a CSV file.
    pub(crate) fn csv(&self, name: &str, header: &str, rows: &[String]) -> PathBuf {
        self.write(name, &format!("{header}\n{}\n", rows.join("\n")))
    }

    /// Judges files on the source. `change` edits the request.
    pub(crate) fn judge(
        &self,
        files: &[PathBuf],
        change: impl FnOnce(&mut Request),
    ) -> Result<Vec<JudgedRun>, Failure> {
        let mut request = request(files, &self.path("run"));
        request.config.data = Some(self.path("set").to_string_lossy().into_owned());
        request.force = true;
        change(&mut request);
        judge(&request)
    }

    /// Judges one file of rows `path,score` on the source.
    pub(crate) fn metrics(&self, rows: &[String], change: impl FnOnce(&mut Request)) -> Result<Metrics, Failure> {
        let file = self.csv("scores.csv", "path,score", rows);
        Ok(self.judge(&[file], change)?.remove(0).metrics)
    }

    /// The message of the failure to judge one file of rows `path,score`.
    pub(crate) fn failure(&self, rows: &[String], change: impl FnOnce(&mut Request)) -> String {
        self.metrics(rows, change).unwrap_err().chain()
    }
}

/// How the metrics of a judged detector were made.
pub(crate) fn judged(metrics: &Metrics) -> &Judged {
    metrics.judged.as_ref().unwrap()
}
