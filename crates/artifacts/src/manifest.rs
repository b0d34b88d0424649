//! `manifest.json`, the record of how an artifact was made. A folder is a complete artifact once it has a manifest.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::hash::{self, Digest, Hash};
use crate::{Error, Result, atomic, command, names};

/// Version of the manifest's format. Readers reject newer manifests.
///
/// - 1: `code.version` is the version of Candling, as text.
/// - 2: `code.version` is the version of the stage, as a number; the version of Candling is `code.program`.
const SCHEMA_VERSION: u32 = 2;

/// The record of how an artifact was made. It is written last, so that a folder without a manifest is incomplete.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this record's format.
    pub schema_version: u32,
    /// The stage that made the artifact.
    pub stage: String,
    /// The stage's resolved configuration.
    pub config: Value,
    /// Digest of each input by its name.
    pub inputs: BTreeMap<String, Hash>,
    /// Each file of the artifact by its path relative to the manifest, with `/` between parts.
    pub outputs: BTreeMap<String, OutputFile>,
    /// The code that made the artifact.
    pub code: Code,
    /// Wall-clock seconds the stage took.
    pub seconds: f64,
    /// The device that the stage computed on, e.g. "cpu (AMD EPYC, 2 threads)".
    pub device: String,
    /// Summary of the result, with keys that depend on the stage (counts, best epoch …).
    pub summary: Value,
}

/// Digest and length of one written file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    /// Digest of the content.
    pub blake3: Hash,
    /// Length in bytes.
    pub bytes: u64,
}

/// The code that made an artifact.
///
/// Only `version` decides whether the artifact is up to date. `program` and `executable` record the provenance. A
/// changed comment, compiler or build option changes the digest of the executable but not the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "RecordedCode")]
pub struct Code {
    /// Version of the stage's results, see [`crate::stage::Stage::VERSION`].
    pub version: u32,
    /// Version of Candling.
    pub program: String,
    /// Digest of the executable.
    pub executable: Hash,
}

/// [`Code`] in the form of any schema version.
#[derive(Deserialize)]
#[serde(untagged)]
enum RecordedCode {
    Current {
        version: u32,
        program: String,
        executable: Hash,
    },
    /// Schema version 1. Every stage then had the results that are now its version 1.
    First {
        version: String,
        executable: Hash,
    },
}

impl From<RecordedCode> for Code {
    fn from(recorded: RecordedCode) -> Code {
        match recorded {
            RecordedCode::Current { version, program, executable } => Code { version, program, executable },
            RecordedCode::First { version: program, executable } => Code { version: 1, program, executable },
        }
    }
}

impl Code {
    /// Describes the running program, for a stage with this version.
    pub fn current(version: u32) -> Result<Code> {
        let path = std::env::current_exe().map_err(Error::io("find", Path::new("current executable")))?;
        Ok(Code { version, program: env!("CARGO_PKG_VERSION").to_owned(), executable: hash::file(&path)? })
    }
}

impl Manifest {
    /// Creates the manifest of the artifact in `dir`, with every file except the manifest itself as an output. The
    /// caller fills in configuration, inputs, seconds, device and summary, which are empty.
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

    /// Reads the manifest of a folder; `None` if the folder is not complete.
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
            advice: format!("run `{}` first", command::line(stage)),
        })
    }

    /// Reads the manifest of a folder and checks every output against its digest; `None` if the folder is not complete.
    pub fn read_verified(dir: &Path) -> Result<Option<Manifest>> {
        let Some(manifest) = Manifest::read(dir)? else { return Ok(None) };
        for output in manifest.outputs.keys() {
            manifest.verify(dir, output)?;
        }
        Ok(Some(manifest))
    }

    /// Writes the manifest into a folder, which completes the artifact.
    pub fn write(&self, dir: &Path) -> Result<()> {
        atomic::write_json(&dir.join(names::MANIFEST), self)
    }

    /// Computes one digest over all outputs. It does not depend on the time or the machine. If a stage runs again with
    /// the same result, later stages therefore stay up to date.
    pub fn outputs_digest(&self) -> Hash {
        self.digest_of(|_| true)
    }

    /// Computes [`Manifest::outputs_digest`] over some of the outputs, for a stage that reads only these.
    pub fn digest_of(&self, reads: impl Fn(&str) -> bool) -> Hash {
        self.outputs
            .iter()
            .filter(|(path, _)| reads(path))
            .fold(Digest::default(), |digest, (path, file)| digest.part(path, file.blake3.as_bytes()))
            .finish()
    }

    /// Describes the first output that is missing or has another length than recorded. Returns `None` if there is none.
    /// Reads no content, so it is cheap.
    pub fn find_damage(&self, dir: &Path) -> Option<String> {
        self.outputs.iter().find_map(|(path, file)| match fs::metadata(dir.join(path)) {
            Ok(found) if found.len() == file.bytes => None,
            Ok(found) => Some(format!("{path} has {} bytes instead of {}", found.len(), file.bytes)),
            Err(_) => Some(format!("{path} is missing")),
        })
    }

    /// Checks one output against its digest. Call it before trusting the content.
    pub fn verify(&self, dir: &Path, output: &str) -> Result<()> {
        let path = dir.join(output);
        let damaged = |detail: String| Error::Damaged { path: path.clone(), stage: self.stage.clone(), detail };
        let expected = self.outputs.get(output).ok_or_else(|| damaged("the manifest does not list it".to_owned()))?;
        let found = hash::file(&path)?;
        if found == expected.blake3 {
            return Ok(());
        }
        Err(damaged(format!("BLAKE3 {} instead of {}", found.short(), expected.blake3.short())))
    }

    /// Returns the path of one output after [`Manifest::verify`].
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

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(dir: &Path, config: Value) {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("data"), "content").unwrap();
        let code = Code { version: 1, program: "1.0.0".to_owned(), executable: Hash::of(b"program") };
        let manifest = Manifest::of(dir, "train", code).unwrap();
        Manifest { config, ..manifest }.write(dir).unwrap();
    }

    #[test]
    fn equal_outputs_have_equal_digests_and_damage_is_found() {
        let root = tempfile::tempdir().unwrap();
        let (a, b) = (root.path().join("a"), root.path().join("b"));
        complete(&a, serde_json::json!({}));
        complete(&b, serde_json::json!({ "other": 1 }));
        let read = |dir: &Path| Manifest::require(dir, "train").unwrap();
        assert_eq!(read(&a).outputs_digest(), read(&b).outputs_digest());
        assert_eq!(Manifest::read_verified(&a).unwrap().unwrap().outputs_digest(), read(&b).outputs_digest());
        fs::write(a.join("data"), "CONTENT").unwrap();
        assert!(matches!(read(&a).verify(&a, "data"), Err(Error::Damaged { .. })));
        assert!(matches!(Manifest::read_verified(&a), Err(Error::Damaged { .. })));
    }

    #[test]
    fn rejects_newer_manifest() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("manifest.json"), r#"{"schema_version": 99, "unknown": 1}"#).unwrap();
        assert!(matches!(Manifest::read(root.path()), Err(Error::SchemaVersion { found: 99, .. })));
    }

    /// `code` as commit 7cae74c wrote it.
    #[test]
    fn reads_code_of_schema_version_1_as_stage_version_1() {
        let executable = Hash::of(b"program");
        let old: Code =
            serde_json::from_value(serde_json::json!({ "version": "0.1.0", "executable": executable })).unwrap();
        assert_eq!(old, Code { version: 1, program: "0.1.0".to_owned(), executable });
        let new = Code { version: 3, program: "0.2.0".to_owned(), executable };
        let json = serde_json::to_value(&new).unwrap();
        assert_eq!(json["version"], 3);
        assert_eq!(serde_json::from_value::<Code>(json).unwrap(), new);
    }
}
