//! The valid files from which the inputs are made.

mod metadata;
mod shards;
mod tables;
mod texts;

use std::fs;
use std::path::{Path, PathBuf};

use artifacts::random::stream;
use artifacts::stage::Failure;
use rand::RngExt;

use crate::configuration::default_run_toml;
use crate::mutation::mutate;
use crate::target::Target;

/// The longest file that is used, so that many inputs fit in a second.
const MAX_BYTES: u64 = 32 << 10;

/// Files that reach the same readers.
type Group = Vec<Vec<u8>>;

/// The valid files of one target, in a fixed order.
pub(crate) struct Corpus {
    target: Target,
    /// Groups that are chosen equally often. A few files for many parsers are not lost among hundreds of images.
    groups: Vec<Group>,
}

impl Corpus {
    /// Reads or makes the files. `golden` is the folder `tests/golden` of the project.
    ///
    /// # Errors
    /// The folder has no images, or a file cannot be made.
    pub(crate) fn new(target: Target, golden: &Path) -> Result<Corpus, Failure> {
        let groups = match target {
            Target::Image => vec![images(golden)?],
            Target::Metadata => vec![metadata()?, images(golden)?],
            Target::Provenance => {
                vec![vec![read(&golden.join("provenance/signed.jpg"))?], metadata()?, images(golden)?]
            }
            Target::Csv => vec![from_texts(&texts::CSV)],
            Target::Table => vec![vec![tables::images().map_err(Failure::failed)?]],
            Target::Zip => vec![vec![tables::archive().map_err(Failure::failed)?]],
            Target::Safetensors => vec![vec![tables::safetensors()]],
            Target::Shard => vec![shards::seeds()?, vec![read(&golden.join("shards/version-1.parquet"))?]],
            Target::Manifest => vec![from_texts(&[texts::MANIFEST])],
            Target::Predictions => {
                vec![from_texts(&texts::PREDICTIONS), vec![tables::predictions().map_err(Failure::failed)?]]
            }
            Target::Scores => vec![vec![shards::scores()?]],
            Target::TrainingState => vec![texts::POSITIONS.map(tables::training_state).to_vec()],
            Target::Configuration => vec![from_texts(&texts::CONFIGURATIONS), vec![default_run_toml()?]],
            Target::Setting => vec![from_texts(&texts::SETTINGS)],
            Target::Url => vec![from_texts(&texts::URLS)],
            Target::Header => vec![from_texts(&texts::HEADERS)],
            Target::Faulty => vec![from_texts(&["good"])],
        };
        Ok(Corpus { target, groups })
    }

    /// Returns the input with the number `case`.
    pub(crate) fn input(&self, seed: u64, case: u64) -> Vec<u8> {
        // The valid files come first.
        let valid = usize::try_from(case).ok().and_then(|case| self.groups.iter().flatten().nth(case));
        if let Some(file) = valid {
            return file.clone();
        }
        let mut random = stream(seed, self.target.name(), &[case]);
        let mut choose = || {
            let group = &self.groups[random.random_range(0..self.groups.len())];
            &group[random.random_range(0..group.len())]
        };
        let (file, other) = (choose(), choose());
        mutate(file, other, &mut random)
    }
}

fn from_texts(texts: &[&str]) -> Group {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn metadata() -> Result<Group, Failure> {
    Ok(metadata::seeds()?.into_iter().map(|seed| seed.file).collect())
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    Ok(fs::read(path).map_err(artifacts::Error::io("read", path))?)
}

/// Reads all short files below the folder, sorted by path.
fn images(golden: &Path) -> Result<Group, Failure> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in ["pixels/decode", "pixels/refused", "jpeg/files"] {
        let folder = golden.join(folder);
        for entry in fs::read_dir(&folder).map_err(artifacts::Error::io("list", &folder))? {
            let entry = entry.map_err(artifacts::Error::io("list", &folder))?;
            let is_pixels = entry.path().extension().is_some_and(|extension| extension == "rgb");
            if !is_pixels && entry.metadata().is_ok_and(|file| file.is_file() && file.len() <= MAX_BYTES) {
                paths.push(entry.path());
            }
        }
    }
    paths.sort();
    let files: Group = paths.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
    if files.is_empty() {
        return Err(Failure::input(format!("there are no images in `{}`", golden.display())));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readers_accept_the_valid_files() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str, bytes: &[u8]| {
            let path = place.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let open = |name: &str, bytes: &[u8]| {
            let source = path(name, bytes).to_string_lossy().into_owned().into();
            sources::open(&sources::SourceConfig { source, ..Default::default() }).map(|source| source.len()).unwrap()
        };
        assert_eq!(open("t.parquet", &tables::images().unwrap()), 4);
        assert_eq!(open("z.zip", &tables::archive().unwrap()), 2);
        for (number, list) in texts::CSV.iter().enumerate() {
            assert_eq!(open(&format!("{number}.csv"), list.as_bytes()), 2);
        }
        assert_eq!(artifacts::predictions::read(&path("s.parquet", &shards::scores().unwrap())).unwrap().len(), 2);
        fs::create_dir(place.path().join("last")).unwrap();
        for position in texts::POSITIONS {
            path("last/training_state.safetensors", &tables::training_state(position));
            train::check_training_state(place.path()).unwrap();
        }
        let names = judge::input::ColumnNames::new();
        let rows = judge::input::read(&path("p.parquet", &tables::predictions().unwrap()), &names, &[]).unwrap();
        assert_eq!(rows.len(), 2);
    }
}
