//! Environment variables as a value, so that tests can pass their own.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A set of environment variables.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// Copies the variables of this process. Ignores variables that are not Unicode.
    pub fn from_process() -> Environment {
        let unicode =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Environment { variables: unicode.collect() }
    }

    /// Returns the value of a variable without surrounding spaces. A blank value counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Returns the value of a variable as a path, with a leading `~` expanded to the home folder.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        let value = self.get(name)?;
        match value.strip_prefix('~') {
            Some("") => self.home(),
            Some(rest) if rest.starts_with(['/', '\\']) => Some(self.home()?.join(&rest[1..])),
            _ => Some(PathBuf::from(value)),
        }
    }

    /// The user's home folder.
    pub fn home(&self) -> Option<PathBuf> {
        let names: &[&str] = if cfg!(windows) { &["USERPROFILE", "HOME"] } else { &["HOME"] };
        names.iter().find_map(|name| self.get(name)).map(PathBuf::from)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Environment { variables: variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignores_blank_values_and_expands_tilde() {
        let home = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        let environment = Environment::from_iter([(home, "/home/u"), ("A", " "), ("B", "~/cache"), ("C", "~other")]);
        assert_eq!(environment.get("A"), None);
        assert_eq!(environment.path("B"), Some(PathBuf::from("/home/u").join("cache")));
        assert_eq!(environment.path("C"), Some(PathBuf::from("~other")));
        assert_eq!(environment.path("D"), None);
    }
}
