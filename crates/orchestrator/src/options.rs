//! Options that are taken out of the arguments of a program.

use std::ffi::OsString;

use artifacts::stage::Failure;

/// Returns whether the arguments ask for help.
pub(crate) fn has_help_option(rest: &[OsString]) -> bool {
    rest.iter().any(|arg| arg == "--help" || arg == "-h")
}

/// Removes `--name VALUE` or `--name=VALUE` from the arguments and returns the value.
pub(crate) fn take_option(rest: &mut Vec<OsString>, name: &str) -> Result<Option<OsString>, Failure> {
    let prefix = format!("{name}=");
    let Some(at) = rest.iter().position(|arg| arg == name || arg.to_string_lossy().starts_with(&prefix)) else {
        return Ok(None);
    };
    let arg = rest.remove(at);
    match arg.to_string_lossy().strip_prefix(&prefix) {
        Some(value) => Ok(Some(value.into())),
        None if at < rest.len() => Ok(Some(rest.remove(at))),
        None => Err(Failure::usage(format!("{name} needs a value"))),
    }
}

/// Removes the overrides of one section from the arguments and returns them.
pub(crate) fn take_sets(rest: &mut Vec<OsString>, section: &str) -> Result<Vec<OsString>, Failure> {
    let mut taken = Vec::new();
    let mut others = Vec::new();
    while let Some(set) = take_option(rest, "--set")? {
        let of_section = set.to_string_lossy().trim_start().starts_with(&format!("{section}."));
        if of_section { taken.push(set) } else { others.push(set) }
    }
    rest.extend(others.into_iter().flat_map(|set| ["--set".into(), set]));
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn takes_options_in_both_forms() {
        let mut rest = args(&["--ckpt", "best", "--data", "x", "--force"]);
        assert_eq!(take_option(&mut rest, "--data").unwrap(), Some("x".into()));
        assert_eq!(rest, args(&["--ckpt", "best", "--force"]));
        let mut rest = args(&["--data=y"]);
        assert_eq!(take_option(&mut rest, "--data").unwrap(), Some("y".into()));
        assert_eq!(take_option(&mut rest, "--data").unwrap(), None);
        assert!(take_option(&mut args(&["--data"]), "--data").is_err());
    }

    #[test]
    fn takes_overrides_of_one_section_only() {
        let mut rest = args(&["--set", "ingest.labels.adm=fake", "--force", "--set=evaluate.batch=8"]);
        assert_eq!(take_sets(&mut rest, "ingest").unwrap(), args(&["ingest.labels.adm=fake"]));
        assert_eq!(rest, args(&["--force", "--set", "evaluate.batch=8"]));
    }
}
