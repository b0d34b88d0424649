//! Patterns of folders, `{generator}/**/0_real`, and of tables, `data/test-*.parquet`.

/// The part of a pattern that names the generator.
const GENERATOR: &str = "{generator}";

/// Matches the folders of an image, part by part. `*` is any folder, `**` any number of folders, and `{generator}` any
/// folder, whose name is the generator. Case does not matter. Returns the generator, which is empty if the pattern names
/// none, or `None` if the folders do not match.
pub(super) fn matches<'a>(pattern: &str, folders: &[&'a str]) -> Option<&'a str> {
    let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    match_parts(&parts, folders, "")
}

fn match_parts<'a>(parts: &[&str], folders: &[&'a str], generator: &'a str) -> Option<&'a str> {
    let Some((part, parts)) = parts.split_first() else { return folders.is_empty().then_some(generator) };
    if *part == "**" {
        return (0..=folders.len()).find_map(|skipped| match_parts(parts, &folders[skipped..], generator));
    }
    let (folder, folders) = folders.split_first()?;
    match *part {
        GENERATOR => match_parts(parts, folders, folder),
        "*" => match_parts(parts, folders, generator),
        name if name.eq_ignore_ascii_case(folder) => match_parts(parts, folders, generator),
        _ => None,
    }
}

/// Checks a pattern.
///
/// # Errors
/// A pattern without parts, with several generators, or with more than one `**`, which could take very long to match.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    let parts: Vec<&str> = pattern.split('/').collect();
    let count = |wanted: &str| parts.iter().filter(|part| **part == wanted).count();
    if parts.iter().any(|part| part.is_empty() || *part == "." || *part == "..") {
        return Err(format!("`{pattern}` has an empty part, `.` or `..`"));
    }
    if count(GENERATOR) > 1 || count("**") > 1 {
        return Err(format!("`{pattern}` has {GENERATOR} or ** twice"));
    }
    Ok(())
}

/// Whether the path of a table matches a pattern. `*` is any text without `/`.
pub(super) fn matches_table(pattern: &str, path: &str) -> bool {
    let Some((start, end)) = pattern.split_once('*') else { return pattern == path };
    let between = path.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
    between.is_some_and(|between| !between.contains('/'))
}

/// Checks the pattern of a table.
///
/// # Errors
/// A pattern that does not end in `.parquet`, with an empty part, `.` or `..`, or with more than one `*`.
pub(super) fn check_table(pattern: &str) -> Result<(), String> {
    check(pattern)?;
    if !pattern.ends_with(".parquet") || pattern.matches('*').count() > 1 {
        return Err(format!("`{pattern}` does not end in .parquet, or has * twice"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_tables_by_their_paths() {
        let parts = "core/test-*.parquet";
        assert!(matches_table(parts, "core/test-00000-of-00013.parquet"));
        assert!(matches_table("a.parquet", "a.parquet"));
        for path in ["core/train-0.parquet", "core/test-0/1.parquet", "x/core/test-0.parquet", "core/test-0.csv"] {
            assert!(!matches_table(parts, path), "{path}");
        }
        assert!(check_table(parts).is_ok());
        for pattern in ["test.csv", "*/*.parquet", "/a.parquet", "../a.parquet"] {
            assert!(check_table(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn matches_folders_and_names_generators() {
        assert_eq!(matches("{generator}/**/0_real", &["progan", "car", "0_real"]), Some("progan"));
        assert_eq!(matches("{generator}/**/0_real", &["biggan", "0_REAL"]), Some("biggan"));
        assert_eq!(matches("{generator}/**/0_real", &["0_real"]), None);
        assert_eq!(matches("test/*/{generator}", &["Test", "imagenet", "adm"]), Some("adm"));
        assert_eq!(matches("real", &["real"]), Some(""));
        assert_eq!(matches("real", &["real", "more"]), None);
    }

    #[test]
    fn rejects_patterns_that_are_ambiguous() {
        assert!(check("a/**/b").is_ok());
        for pattern in ["", "a//b", "../a", "**/a/**", "{generator}/{generator}"] {
            assert!(check(pattern).is_err(), "{pattern}");
        }
    }
}
