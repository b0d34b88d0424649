//! Credentials for Kaggle, searched in the order of kagglehub (`config.py`, and `kaggle_env.py` of kagglesdk):
//!
//! 1. in a Kaggle notebook, the token in the file that `KAGGLE_API_V1_TOKEN` names;
//! 2. `KAGGLE_API_TOKEN`: a token, or the path of a file with a token;
//! 3. `~/.kaggle/access_token`, then `~/.kaggle/access_token.txt`;
//! 4. `KAGGLE_USERNAME` with `KAGGLE_KEY`;
//! 5. `kaggle.json` in `KAGGLE_CONFIG_DIR`, or in `~/.kaggle`;
//! 6. no credentials, because public data sets need no account.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use fetch::{Authorization, Environment};
use serde::Deserialize;

use super::Error;

/// Credentials and the location where they were found. `Display` shows only the location.
#[derive(Debug)]
pub(super) struct Credentials {
    pub(super) authorization: Option<Authorization>,
    location: String,
}

#[derive(Deserialize)]
struct KaggleJson {
    username: String,
    key: String,
}

impl Credentials {
    /// Returns the first credentials found.
    pub(super) fn of(environment: &Environment) -> Result<Credentials, Error> {
        let token =
            notebook_token(environment).or_else(|| configured_token(environment)).or_else(|| stored_token(environment));
        if let Some((token, location)) = token {
            return Ok(Credentials { authorization: Some(Authorization::Bearer(token)), location });
        }
        if let (Some(username), Some(key)) = (environment.get("KAGGLE_USERNAME"), environment.get("KAGGLE_KEY")) {
            return Ok(Credentials::basic(username, key, "KAGGLE_USERNAME and KAGGLE_KEY".to_owned()));
        }
        let folder = environment.path("KAGGLE_CONFIG_DIR").or_else(|| kaggle_folder(environment));
        match folder.map(|folder| folder.join("kaggle.json")) {
            Some(path) if path.exists() => {
                let KaggleJson { username, key } = read(&path)?;
                Ok(Credentials::basic(username.trim(), key.trim(), path.display().to_string()))
            }
            _ => Ok(Credentials { authorization: None, location: String::new() }),
        }
    }

    fn basic(username: &str, key: &str, location: String) -> Credentials {
        let authorization = Authorization::Basic { username: username.to_owned(), password: key.to_owned() };
        Credentials { authorization: Some(authorization), location }
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.authorization {
            Some(_) => write!(f, "with the credentials in {}", self.location),
            None => f.write_str(
                "without credentials (there are none in KAGGLE_API_TOKEN, ~/.kaggle/access_token, KAGGLE_USERNAME and \
                 KAGGLE_KEY, or kaggle.json in KAGGLE_CONFIG_DIR or ~/.kaggle)",
            ),
        }
    }
}

fn notebook_token(environment: &Environment) -> Option<(String, String)> {
    environment.get("KAGGLE_KERNEL_RUN_TYPE")?;
    environment.get("KAGGLE_DATA_PROXY_URL")?;
    let path = environment.path("KAGGLE_API_V1_TOKEN")?;
    Some((token_in(&path)?, "KAGGLE_API_V1_TOKEN".to_owned()))
}

fn configured_token(environment: &Environment) -> Option<(String, String)> {
    let value = environment.get("KAGGLE_API_TOKEN")?;
    let path = environment.path("KAGGLE_API_TOKEN").filter(|path| path.exists());
    let token = path.map_or_else(|| Some(value.to_owned()), |path| token_in(&path))?;
    Some((token, "KAGGLE_API_TOKEN".to_owned()))
}

fn stored_token(environment: &Environment) -> Option<(String, String)> {
    let folder = kaggle_folder(environment)?;
    ["access_token", "access_token.txt"].iter().find_map(|name| {
        let path = folder.join(name);
        Some((token_in(&path)?, path.display().to_string()))
    })
}

fn kaggle_folder(environment: &Environment) -> Option<PathBuf> {
    environment.home().map(|home| home.join(".kaggle"))
}

fn token_in(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let token = text.trim();
    (!token.is_empty()).then(|| token.to_owned())
}

/// Reads a `kaggle.json`. The error omits the message of the parser, which may quote the file.
fn read(path: &Path) -> Result<KaggleJson, Error> {
    let text = fs::read_to_string(path).map_err(artifacts::Error::io("read", path))?;
    serde_json::from_str(&text).map_err(|error| Error::Credentials { path: path.to_owned(), line: error.line() })
}
