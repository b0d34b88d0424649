//! What a stage made, of what, and how: the file that makes an artifact complete.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::hash::{self, Digest, Hash};
use crate::{Error, Result, atomic, names};

/// The manifest's own format; a reader refuses newer ones.
const SCHEMA_VERSION: u32 = 1;

/// The record of one finished stage, `manifest.json` in its folder. It is written last: a folder without one is
/// incomplete.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this record's format.
    pub schema_version: u32,
    /// The stage that wrote it.
    pub stage: String,
    /// The stage's resolved configuration.
    pub config: Value,
    /// Digest of each input by its name.
    pub inputs: BTreeMap<String, Hash>,
    /// Each file of the artifact by its path relative to the manifest, with `/` between parts.
    pub outputs: BTreeMap<String, OutputFile>,
    /// The program that made it.
    pub code: Code,
    /// Wall-clock seconds the stage took.
    pub seconds: f64,
    /// The device it computed on, e.g. "cpu (AMD EPYC, 2 threads)".
    pub device: String,
    /// What the stage says of its result, in its own words (counts, best epoch …).
    pub summary: Value,
}

/// Identity of one written file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    /// Digest of the content.
    pub blake3: Hash,
    /// Length in bytes.
    pub bytes: u64,
}

/// Identity of the program that made an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// Candling's version.
    pub version: String,
    /// Digest of the executable: any change of code, dependency or build option changes it.
    pub executable: Hash,
}

impl Code {
    /// The running program.
    pub fn current() -> Result<Code> {
        let path = std::env::current_exe().map_err(Error::io("find", Path::new("current executable")))?;
        Ok(Code { version: env!("CARGO_PKG_VERSION").to_owned(), executable: hash::file(&path)? })
    }
}

impl Manifest {
    /// A manifest of everything that `stage` left in `dir`, apart from the manifest itself. How it was made (configuration,
    /// inputs, seconds, device, summary) is empty, for the caller to fill in.
    pub fn of(dir: &Path, stage: &str, code: Code) -> Result<Manifest> {
        let mut outputs = BTreeMap::new();
        collect(dir, "", &mut outputs)?;
        Ok(Manifest {
            schema_version: SCHEMA_VERSION,
            stage: stage.to_owned(),
            config: Value::Object(Map::new()),
            inputs: BTreeMap::new(),
            outputs,
            code,
            seconds: 0.0,
            device: String::new(),
            summary: Value::Object(Map::new()),
        })
    }

    /// Reads the manifest of a folder; `None` where the folder is not complete.
    pub fn read(dir: &Path) -> Result<Option<Manifest>> {
        let path = dir.join(names::MANIFEST);
        if !path.exists() {
            return Ok(None);
        }
        atomic::read_versioned(&path, "manifest", SCHEMA_VERSION).map(Some)
    }

    /// Reads the manifest of a folder that must be complete.
    pub fn require(dir: &Path, stage: &str) -> Result<Manifest> {
        Manifest::read(dir)?.ok_or_else(|| Error::Missing {
            artifact: format!("complete {stage} artifact"),
            path: dir.to_owned(),
            advice: format!("run `cargo xtask {stage}` first"),
        })
    }

    /// Reads the manifest of a folder and checks every output against it; `None` where the folder is not complete.
    pub fn read_verified(dir: &Path) -> Result<Option<Manifest>> {
        let Some(manifest) = Manifest::read(dir)? else { return Ok(None) };
        for output in manifest.outputs.keys() {
            manifest.verify(dir, output)?;
        }
        Ok(Some(manifest))
    }

    /// Writes the manifest into a folder, which completes it.
    pub fn write(&self, dir: &Path) -> Result<()> {
        atomic::write_json(&dir.join(names::MANIFEST), self)
    }

    /// One digest over all outputs. Equal results have equal digests, however long they took and wherever they were
    /// made, so a stage made again with the same result does not make the next ones run again.
    pub fn outputs_digest(&self) -> Hash {
        self.digest_of(|_| true)
    }

    /// [`Manifest::outputs_digest`] of some outputs alone: what a stage depends on that reads no others.
    pub fn digest_of(&self, reads: impl Fn(&str) -> bool) -> Hash {
        self.outputs
            .iter()
            .filter(|(path, _)| reads(path))
            .fold(Digest::default(), |digest, (path, file)| digest.part(path, file.blake3.as_bytes()))
            .finish()
    }

    /// The first output that is missing or has another length, if any: the cheap check.
    pub fn find_missing(&self, dir: &Path) -> Option<String> {
        self.outputs.iter().find_map(|(path, file)| match fs::metadata(dir.join(path)) {
            Ok(found) if found.len() == file.bytes => None,
            Ok(found) => Some(format!("{path} has {} bytes instead of {}", found.len(), file.bytes)),
            Err(_) => Some(format!("{path} is missing")),
        })
    }

    /// Checks one output against its digest: the thorough check, before its content is trusted.
    pub fn verify(&self, dir: &Path, output: &str) -> Result<()> {
        let path = dir.join(output);
        let damaged = |detail: String| Error::Damaged { path: path.clone(), stage: self.stage.clone(), detail };
        let expected = self.outputs.get(output).ok_or_else(|| damaged("it is not listed there".to_owned()))?;
        let found = hash::file(&path)?;
        if found == expected.blake3 {
            return Ok(());
        }
        Err(damaged(format!("BLAKE3 {} instead of {}", found.short(), expected.blake3.short())))
    }

    /// The path of one output, after [`Manifest::verify`]: what is read from it may be trusted.
    pub fn verified(&self, dir: &Path, output: &str) -> Result<PathBuf> {
        self.verify(dir, output)?;
        Ok(dir.join(output))
    }
}

fn collect(dir: &Path, prefix: &str, outputs: &mut BTreeMap<String, OutputFile>) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let entry = entry.map_err(Error::io("list", dir))?;
        let path = entry.path();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if path.is_dir() {
            collect(&path, &format!("{name}/"), outputs)?;
        } else if name != names::MANIFEST {
            let bytes = entry.metadata().map_err(Error::io("read", &path))?.len();
            outputs.insert(name, OutputFile { blake3: hash::file(&path)?, bytes });
        }
    }
    Ok(())
}
