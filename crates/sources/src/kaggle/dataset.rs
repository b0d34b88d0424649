//! Names of Kaggle data sets: `kaggle:owner/slug[@version]`.

use std::fmt;
use std::str::FromStr;

use super::Error;

/// The name of a data set, with or without a version. Owner and slug are used in paths, so they may contain no
/// separators or dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// The owner.
    pub(super) owner: String,
    /// The name of the data set in URLs.
    pub(super) slug: String,
    /// The version, from 1.
    pub(super) version: Option<u32>,
}

impl Dataset {
    /// Returns the data set with the given version.
    pub(super) fn at(&self, version: u32) -> Dataset {
        Dataset { version: Some(version), ..self.clone() }
    }
}

impl FromStr for Dataset {
    type Err = Error;

    /// Parses `owner/slug`, `owner/slug@version`, or kagglehub's `owner/slug/versions/version`, with or without
    /// `kaggle:`.
    fn from_str(text: &str) -> Result<Dataset, Error> {
        let bad = |reason: &'static str| Error::Name { text: text.to_owned(), reason };
        let rest = text.strip_prefix("kaggle:").unwrap_or(text);
        let (name, version) = match rest.split_once('@').or_else(|| rest.split_once("/versions/")) {
            Some((name, version)) => (name, Some(version)),
            None => (rest, None),
        };
        let (owner, slug) = name.split_once('/').ok_or_else(|| bad("the owner or the name is missing"))?;
        if !is_slug(owner) || !is_slug(slug) {
            return Err(bad("owner and name may have only letters, digits, `-` and `_`"));
        }
        let version = match version {
            Some(digits) => Some(version_number(digits).ok_or_else(|| bad("a version must be a number from 1"))?),
            None => None,
        };
        Ok(Dataset { owner: owner.to_owned(), slug: slug.to_owned(), version })
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Dataset { owner, slug, version } = self;
        write!(f, "kaggle:{owner}/{slug}")?;
        version.map_or(Ok(()), |version| write!(f, "@{version}"))
    }
}

/// Parses a version, which consists of digits without leading zeros.
pub(super) fn version_number(text: &str) -> Option<u32> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    canonical.then(|| text.parse().ok())?
}

fn is_slug(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=100).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_both_notations() {
        for (text, version) in [
            ("kaggle:o-1/s_2", None),
            ("o-1/s_2", None),
            ("kaggle:o-1/s_2@12", Some(12)),
            ("kaggle:o-1/s_2/versions/12", Some(12)),
        ] {
            let dataset: Dataset = text.parse().unwrap();
            assert_eq!(
                (dataset.owner.as_str(), dataset.slug.as_str(), dataset.version),
                ("o-1", "s_2", version),
                "{text}"
            );
            assert_eq!(dataset.to_string().parse::<Dataset>().unwrap(), dataset);
        }
    }

    #[test]
    fn rejects_names_that_could_leave_the_cache() {
        for text in [
            "",
            "kaggle:",
            "o",
            "o/",
            "/s",
            "../s",
            "o/..",
            "o/s/t",
            "o/s@",
            "o/s@0",
            "o/s@-1",
            "o/s@+1",
            "o/s@1/../2",
            "o/s@99999999999",
            "o/s@1.5",
            "o\\s/t",
            "o/s?x",
            "o/s t",
            "o/s\n",
            "é/s",
            "o/s/versions/",
            "o/s@01",
        ] {
            assert!(text.parse::<Dataset>().is_err(), "{text:?}");
        }
    }
}
