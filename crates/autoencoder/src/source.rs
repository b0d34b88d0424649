//! The name of the weights of an autoencoder.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Result;

/// The file in which diffusers saves weights.
const DEFAULT_FILE: &str = "diffusion_pytorch_model.safetensors";

/// Where the weights of an autoencoder are: `hf:owner/repo[/file][@revision]`, or the path of a safetensors file with
/// `config.json` beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum VaeSource {
    /// A file on the Hugging Face hub, with the prefix `hf:`, as written.
    Hub(String),
    /// A safetensors file.
    Path(PathBuf),
}

impl VaeSource {
    /// The name of the file on the hub, with its default; `None` for a path.
    pub fn hub_name(&self) -> Option<String> {
        match self {
            VaeSource::Hub(name) => Some(with_default_file(name)),
            VaeSource::Path(_) => None,
        }
    }

    /// Returns the path of the file, after downloading it and `config.json` if they are not in the cache.
    ///
    /// # Errors
    /// A file cannot be downloaded.
    pub fn resolve(&self) -> Result<PathBuf> {
        match self {
            VaeSource::Path(path) => Ok(path.clone()),
            VaeSource::Hub(name) => {
                let name = with_default_file(name);
                let path = hub::resolve(&name)?;
                hub::resolve_beside(&name, "config.json")?;
                Ok(path)
            }
        }
    }
}

/// Adds the default file to the name of a repository.
fn with_default_file(name: &str) -> String {
    let (path, revision) = name.split_once('@').map_or((name, None), |(path, revision)| (path, Some(revision)));
    let path = if path.split('/').count() == 2 { format!("{path}/{DEFAULT_FILE}") } else { path.to_owned() };
    revision.map_or(path.clone(), |revision| format!("{path}@{revision}"))
}

impl FromStr for VaeSource {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<VaeSource, String> {
        if text.is_empty() {
            return Err("it is empty; name a safetensors file or hf:owner/repo".to_owned());
        }
        if !text.starts_with("hf:") {
            return Ok(VaeSource::Path(PathBuf::from(text)));
        }
        match with_default_file(text).parse::<hub::Name>() {
            Ok(_) => Ok(VaeSource::Hub(text.to_owned())),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl TryFrom<String> for VaeSource {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<VaeSource, String> {
        text.parse()
    }
}

impl From<VaeSource> for String {
    fn from(source: VaeSource) -> String {
        match source {
            VaeSource::Hub(name) => name,
            VaeSource::Path(path) => path.to_string_lossy().into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_a_file_get_that_of_diffusers() {
        let name = |text: &str| text.parse::<VaeSource>().unwrap().hub_name();
        assert_eq!(name("hf:owner/vae@main").unwrap(), "hf:owner/vae/diffusion_pytorch_model.safetensors@main");
        assert_eq!(name("hf:owner/model/vae/x.safetensors").unwrap(), "hf:owner/model/vae/x.safetensors");
        assert_eq!(name("folder/x.safetensors"), None);
        assert!("hf:owner".parse::<VaeSource>().is_err() && "".parse::<VaeSource>().is_err());
    }
}
