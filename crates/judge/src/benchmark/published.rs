//! Published results, as the TOML files in `benchmarks/published/` have them.

use std::path::{Path, PathBuf};

use artifacts::schema::{Metric, PublishedResult, PublishedTable};

use super::schema_version;
use crate::Error;

/// Reads the results on one benchmark from all TOML files in a folder, in the order of their names. `benchmark` is the
/// name of its file in `benchmarks/`. Tables without a result on it are left out.
///
/// # Errors
/// A file that cannot be read or is not valid. The message names the file and the key.
pub fn read_published(folder: &Path, benchmark: &str) -> Result<Vec<PublishedTable>, Error> {
    let entries = std::fs::read_dir(folder).map_err(artifacts::Error::io("list", folder))?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| Ok(entry.map_err(artifacts::Error::io("list", folder))?.path()))
        .collect::<Result<_, Error>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let mut tables = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(artifacts::Error::io("read", &path))?;
        let mut table = parse(&text).map_err(|detail| Error::File { path: path.clone(), line: None, detail })?;
        table.results.retain(|result| result.benchmark == benchmark);
        if !table.results.is_empty() {
            tables.push(table);
        }
    }
    Ok(tables)
}

fn parse(text: &str) -> Result<PublishedTable, String> {
    let table: PublishedTable = toml::from_str(text).map_err(|e| e.to_string())?;
    schema_version::check(table.schema_version, PublishedTable::SCHEMA_VERSION)?;
    for result in &table.results {
        check(result).map_err(|detail| format!("`{}` on {}: {detail}", result.method, result.benchmark))?;
    }
    Ok(table)
}

fn check(result: &PublishedResult) -> Result<(), String> {
    let Some(metric) = Metric::by_key(&result.metric) else {
        return Err(format!("metric `{}` is no key of metrics.json", result.metric));
    };
    let (low, high) = metric.range;
    let is_outside = |value: &&f64| !(low..=high).contains(*value);
    match result.generators.values().chain([&result.mean]).find(is_outside) {
        Some(value) => Err(format!("{value} is not between {low} and {high}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        schema_version = 1
        title = "A paper"
        source = "table 2"
        [[results]]
        benchmark = "genimage"
        method = "M"
        metric = "accuracy"
        mean = 0.75
        generators = { adm = 0.5 }
        [[results]]
        benchmark = "wildrf"
        method = "M"
        metric = "pr_auc"
        mean = 0.5
    "#;

    #[test]
    fn reads_the_results_of_one_benchmark() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.toml"), GOOD).unwrap();
        std::fs::write(folder.path().join("README.md"), "no table").unwrap();
        let tables = read_published(folder.path(), "genimage").unwrap();
        assert_eq!((tables.len(), tables[0].results.len(), tables[0].results[0].mean), (1, 1, 0.75));
        assert!(read_published(folder.path(), "chameleon").unwrap().is_empty());
        std::fs::write(folder.path().join("b.toml"), GOOD.replace("0.75", "75")).unwrap();
        let error = read_published(folder.path(), "genimage").unwrap_err().to_string();
        assert!(error.contains("b.toml") && error.contains("75 is not between 0 and 1"), "{error}");
    }

    #[test]
    fn names_what_is_wrong() {
        for (old, new, message) in [
            ("schema_version = 1", "schema_version = 2", "schema_version is 2"),
            ("accuracy", "acuracy", "`M` on genimage: metric `acuracy` is no key"),
            ("adm = 0.5", "adm = -1.0", "-1 is not between"),
            ("source", "sources", "sources"),
        ] {
            let error = parse(&GOOD.replace(old, new)).unwrap_err();
            assert!(error.contains(message), "{message}: {error}");
        }
    }
}
