//! The environment variables a service's settings come from, as a value that tests can make up.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A snapshot of environment variables.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// The variables of this process; one that is not Unicode counts as absent.
    pub fn of_process() -> Environment {
        let unicode =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Environment { variables: unicode.collect() }
    }

    /// A variable's value; an empty or blank one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// A variable that names a folder or file, with a leading `~` expanded.
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
    fn blank_is_absent_and_a_tilde_is_home() {
        let home = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        let environment = Environment::from_iter([(home, "/home/u"), ("A", " "), ("B", "~/cache"), ("C", "~other")]);
        assert_eq!(environment.get("A"), None);
        assert_eq!(environment.path("B"), Some(PathBuf::from("/home/u").join("cache")));
        assert_eq!(environment.path("C"), Some(PathBuf::from("~other")));
        assert_eq!(environment.path("D"), None);
    }
}
