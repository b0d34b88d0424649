//! Names of repositories on the hub, and of files in them: `hf:owner/repo[/file][@revision]`.

use std::fmt;
use std::str::FromStr;

use crate::Error;

const DEFAULT_FILE: &str = "model.safetensors";
pub(crate) const DEFAULT_REVISION: &str = "main";

/// A repository on the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repository {
    pub(crate) kind: Kind,
    /// `owner/repo`.
    pub(crate) name: String,
}

/// What a repository has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Model,
    Dataset,
}

/// The parts of a name after its prefix: `owner/repo[/path][@revision]`.
pub(crate) struct Parts<'a> {
    pub(crate) repository: Repository,
    /// The path in the repository, with `/` between its components.
    pub(crate) path: Option<&'a str>,
    pub(crate) revision: String,
}

impl<'a> Parts<'a> {
    /// Splits a name, and checks each part but the path.
    ///
    /// # Errors
    /// The reason why a part is invalid.
    pub(crate) fn of(text: &'a str, kind: Kind) -> Result<Parts<'a>, &'static str> {
        let (path, revision) = text.split_once('@').unwrap_or((text, DEFAULT_REVISION));
        let mut parts = path.splitn(3, '/');
        let owner = parts.next().filter(|owner| is_plain(owner)).ok_or("the owner is missing or not a name")?;
        let repo = parts.next().filter(|repo| is_plain(repo)).ok_or("the repository is missing or not a name")?;
        if !revision.split('/').all(is_plain) {
            return Err("the revision is not a branch, tag or commit");
        }
        let repository = Repository { kind, name: format!("{owner}/{repo}") };
        Ok(Parts { repository, path: parts.next(), revision: revision.to_owned() })
    }
}

impl Repository {
    /// The parts of its address on the hub.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> {
        let kind = match self.kind {
            Kind::Model => None,
            Kind::Dataset => Some("datasets"),
        };
        kind.into_iter().chain(self.name.split('/'))
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hf:{}", self.segments().collect::<Vec<_>>().join("/"))
    }
}

/// The name of a file on the hub. Its parts become paths, so components such as `..` are rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    pub(crate) repository: Repository,
    /// The path in the repository, separated by `/`.
    pub(crate) file: String,
    /// A branch, a tag or a commit.
    pub(crate) revision: String,
}

impl Name {
    /// Returns whether the revision is a commit hash.
    pub(crate) fn has_commit_revision(&self) -> bool {
        is_commit(&self.revision)
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Name, Error> {
        let bad = |reason: &'static str| Error::Name { text: text.to_owned(), reason };
        let rest = text.strip_prefix("hf:").ok_or_else(|| bad("it does not begin with `hf:`"))?;
        let Parts { repository, path, revision } = Parts::of(rest, Kind::Model).map_err(bad)?;
        let file = path.unwrap_or(DEFAULT_FILE);
        if !file.split('/').all(is_file_name) {
            return Err(bad("the file is not a path inside the repository"));
        }
        Ok(Name { repository, file: file.to_owned(), revision })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Name { repository, file, revision } = self;
        write!(f, "{repository}/{file}")?;
        if revision == DEFAULT_REVISION { Ok(()) } else { write!(f, "@{revision}") }
    }
}

/// Returns whether a text is a full commit hash, which always refers to the same files.
pub(crate) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns whether a text is valid both as an unescaped part of a URL and as a file name on every system.
pub(crate) fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=96).contains(&text.len()) && !text.starts_with('.') && !text.ends_with('.') && text.bytes().all(plain)
}

/// Returns whether a text is one component of a path. Spaces and letters of any script are allowed.
pub(crate) fn is_file_name(text: &str) -> bool {
    let forbidden = |c: char| c.is_control() || matches!(c, '\\' | ':');
    (1..=255).contains(&text.len()) && !matches!(text, "." | "..") && !text.chars().any(forbidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in_default_file_and_revision() {
        let name: Name = "hf:timm/resnet50.tv_in1k".parse().unwrap();
        assert_eq!((name.file.as_str(), name.revision.as_str()), ("model.safetensors", "main"));
        assert_eq!(name.to_string(), "hf:timm/resnet50.tv_in1k/model.safetensors");
        let name: Name = "hf:o/r/sub/my file.safetensors@refs/pr/1".parse().unwrap();
        assert_eq!((name.file.as_str(), name.revision.as_str()), ("sub/my file.safetensors", "refs/pr/1"));
        assert_eq!(name.to_string().parse::<Name>().unwrap(), name);
    }

    #[test]
    fn rejects_malformed_names_and_paths_outside_the_cache() {
        for text in [
            "timm/resnet50",
            "hf:",
            "hf:timm",
            "hf:timm/",
            "hf:/r/f",
            "hf:../r/f",
            "hf:o/..",
            "hf:o/r/../../f",
            "hf:o/r//f",
            "hf:o/r/",
            "hf:o/r/a\\..\\b",
            "hf:o/r/c:f",
            "hf:o/r/f@",
            "hf:o/r/f@../main",
            "hf:o/r/f@a//b",
            "hf:o/r?x=1",
            "hf:o/r/f\n",
        ] {
            assert!(text.parse::<Name>().is_err(), "{text:?}");
        }
    }
}
