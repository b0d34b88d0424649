//! Sources of weights, reading and writing safetensors files, and random initialisation.

mod error;
pub(crate) mod initial;
mod load;
mod prefix;
mod save;

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use error::Error;
pub(crate) use load::load;
pub use load::{LoadReport, check};
pub(crate) use save::save;

/// The source of the initial weights: `none`, `hf:owner/repo[/file][@revision]`, or a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Source {
    /// No file: the weights are drawn at random.
    None,
    /// A file on the Hugging Face hub, with the prefix `hf:`.
    Hub(String),
    /// A safetensors file.
    Path(PathBuf),
}

impl Source {
    /// Returns the path of the file, or `None` for [`Source::None`]. Downloads the file if it is not in the cache.
    ///
    /// # Errors
    /// The file cannot be downloaded.
    pub fn resolve(&self) -> Result<Option<PathBuf>, Error> {
        match self {
            Self::None => Ok(None),
            Self::Hub(name) => Ok(Some(hub::resolve(name)?)),
            Self::Path(path) => Ok(Some(path.clone())),
        }
    }
}

impl Source {
    /// Downloads another file of the same folder and revision on the hub into the cache, where it lies beside the first.
    /// Does nothing for other sources.
    ///
    /// # Errors
    /// The file does not exist on the hub, or cannot be downloaded.
    pub fn resolve_beside(&self, file: &str) -> Result<(), Error> {
        if let Self::Hub(name) = self {
            hub::resolve_beside(name, file)?;
        }
        Ok(())
    }
}

/// Returns advice for a file that was not found, if its path looks like a model on the hub, such as `timm/resnet50`.
/// The advice continues a message. Returns an empty text otherwise.
#[must_use]
pub fn hub_advice(path: &Path, error: &io::Error) -> String {
    let text = path.to_string_lossy();
    let is_model = text.matches('/').count() == 1
        && path.extension().is_none_or(|extension| extension != "safetensors")
        && format!("hf:{text}").parse::<hub::Name>().is_ok();
    if error.kind() == io::ErrorKind::NotFound && is_model {
        format!("; for the model of this name on the Hugging Face hub, write `hf:{text}`")
    } else {
        String::new()
    }
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "" | "hf:" => Err(Error::Source(text.to_owned())),
            "none" => Ok(Self::None),
            _ if text.starts_with("hf:") => {
                text.parse::<hub::Name>()?;
                Ok(Self::Hub(text.to_owned()))
            }
            _ => Ok(Self::Path(PathBuf::from(text))),
        }
    }
}

impl TryFrom<String> for Source {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        match source {
            Source::None => "none".to_owned(),
            Source::Hub(name) => name,
            Source::Path(path) => path.to_string_lossy().into_owned(),
        }
    }
}
