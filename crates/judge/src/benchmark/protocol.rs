//! The protocol of a benchmark, as a TOML file in `benchmarks/` has it.

use std::collections::BTreeMap;
use std::path::Path;

use artifacts::schema::Metric;
use artifacts::{Label, Split};
use serde::Deserialize;

use super::{pattern, schema_version};
use crate::Error;

/// The version of protocol files that this build reads.
const SCHEMA_VERSION: u32 = 1;

/// Which folders or tables of a data set mean what.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// Version of the file's format: 1.
    pub schema_version: u32,
    /// Name of the benchmark.
    pub name: String,
    /// The paper that introduced it.
    pub paper: String,
    /// Key of the metric that the paper reports.
    pub metric: String,
    /// How to arrange the files, for people.
    pub layout: String,
    /// What to know before comparing with published figures.
    #[serde(default)]
    pub caveats: Vec<String>,
    /// The folders. The first rule that matches an image counts.
    #[serde(default)]
    pub images: Vec<ImageRule>,
    /// The parquet tables. The first rule that matches a table counts.
    #[serde(default)]
    pub tables: Vec<TableRule>,
    /// The generators, with their numbers of images if these are known. Empty if any name of a folder or
    /// in a table is a generator.
    #[serde(default)]
    pub generators: BTreeMap<String, Expected>,
}

/// The meaning of the folders that match a pattern.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRule {
    /// The folders of the image below the root. `*` is any folder, `**` any number of folders, and `{generator}` the
    /// folder of the generator.
    pub folder: String,
    /// The class.
    pub label: Label,
    /// The split.
    #[serde(default = "test_split")]
    pub split: Split,
    /// The generator, if no folder is named after it.
    #[serde(default)]
    pub generator: Option<String>,
    /// For real images: the generators whose fakes they are compared with. Empty: those of the folder
    /// `{generator}`, or all.
    #[serde(default)]
    pub with: Vec<String>,
}

/// The meaning of the parquet tables that match a pattern, with an image file in each row.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableRule {
    /// The paths of the tables below the root. `*` is any text without `/`.
    pub table: String,
    /// The split.
    #[serde(default = "test_split")]
    pub split: Split,
    /// The column of the class: `real` and `fake`, or 0 and 1.
    pub label: String,
    /// The column of the generator.
    pub generator: String,
    /// Whether a real image is compared with the fakes of the generator in its own row. Otherwise with all fakes.
    #[serde(default)]
    pub own_reals: bool,
    /// The number of rows of all these tables, if it is known.
    #[serde(default)]
    pub rows: Option<u64>,
}

/// The numbers of images of a generator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Number of real images that its fakes are compared with.
    #[serde(default)]
    pub real: Option<u64>,
    /// Number of fakes.
    #[serde(default)]
    pub fake: Option<u64>,
}

fn test_split() -> Split {
    Split::Test
}

impl Protocol {
    /// Reads and checks a protocol.
    ///
    /// # Errors
    /// A file that is missing or not valid. The message names the key.
    pub fn read(path: &Path) -> Result<Protocol, Error> {
        let text = std::fs::read_to_string(path).map_err(artifacts::Error::io("read", path))?;
        Protocol::parse(&text).map_err(|detail| Error::File { path: path.to_owned(), line: None, detail })
    }

    /// Parses and checks a protocol.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(text: &str) -> Result<Protocol, String> {
        let protocol: Protocol = toml::from_str(text).map_err(|e| e.to_string())?;
        schema_version::check(protocol.schema_version, SCHEMA_VERSION)?;
        if Metric::by_key(&protocol.metric).is_none() {
            return Err(format!("metric `{}` is no key of metrics.json", protocol.metric));
        }
        for rule in &protocol.images {
            pattern::check(&rule.folder).map_err(|detail| format!("images.folder: {detail}"))?;
            if rule.label == Label::Fake && !rule.with.is_empty() {
                return Err(format!("images.with of `{}` is for real images only", rule.folder));
            }
            let unknown = |name: &&String| !protocol.generators.is_empty() && !protocol.generators.contains_key(*name);
            if let Some(name) = rule.with.iter().chain(&rule.generator).find(unknown) {
                return Err(format!("`{name}` of `{}` is not in [generators]", rule.folder));
            }
        }
        for rule in &protocol.tables {
            pattern::check_table(&rule.table).map_err(|detail| format!("tables.table: {detail}"))?;
        }
        // A table has both classes.
        let of_table = protocol.tables.iter().any(|rule| rule.split == Split::Test);
        let has = |label: Label| protocol.images.iter().any(|rule| rule.label == label && rule.split == Split::Test);
        if !of_table && (!has(Label::Real) || !has(Label::Fake)) {
            return Err("images needs a rule for real images and one for fakes of the test split, unless tables has \
                        one for the test split"
                .to_owned());
        }
        Ok(protocol)
    }

    /// Returns the name of a generator as the protocol writes it, whatever the case of `name`. `None` if the protocol
    /// does not know it.
    pub(super) fn generator(&self, name: &str) -> Option<String> {
        if self.generators.is_empty() {
            return Some(name.to_owned());
        }
        self.generators.keys().find(|known| known.eq_ignore_ascii_case(name)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        schema_version = 1
        name = "n"
        paper = "p"
        metric = "accuracy"
        layout = "l"
        images = [{ folder = "0_real", label = "real" }, { folder = "1_fake", label = "fake", generator = "gan" }]
        [generators.gan]
        fake = 10
    "#;

    /// Checks that a protocol is refused after each change from `old` to `new`, with a text that contains `message`.
    fn assert_refused(good: &str, changes: &[(&str, &str, &str)]) {
        for (old, new, message) in changes {
            let error = Protocol::parse(&good.replace(old, new)).unwrap_err();
            assert!(error.contains(message), "{message}: {error}");
        }
    }

    #[test]
    fn a_table_of_the_test_split_needs_no_folders() {
        const TABLES: &str = r#"
            schema_version = 1
            name = "n"
            paper = "p"
            metric = "accuracy"
            layout = "l"
            tables = [{ table = "data/test-*.parquet", label = "label", generator = "model", rows = 9 }]
        "#;
        let protocol = Protocol::parse(TABLES).unwrap();
        let rule = &protocol.tables[0];
        assert_eq!((rule.split, rule.own_reals, rule.rows), (Split::Test, false, Some(9)));
        assert_refused(
            TABLES,
            &[
                ("rows = 9", "split = \"train\"", "unless tables has one for the test split"),
                (".parquet", ".csv", "tables.table: `data/test-*.csv`"),
                ("generator", "generators", "unknown field `generators`"),
            ],
        );
    }

    #[test]
    fn reads_a_protocol_and_names_what_is_wrong() {
        let protocol = Protocol::parse(GOOD).unwrap();
        assert_eq!((protocol.images[1].split, protocol.generators["gan"].fake), (Split::Test, Some(10)));
        assert_refused(
            GOOD,
            &[
                ("schema_version = 1", "schema_version = 2", "schema_version is 2"),
                ("accuracy", "acuracy", "no key of metrics.json"),
                ("0_real", "a//b", "empty part"),
                ("generator = \"gan\"", "generator = \"x\"", "`x` of `1_fake` is not in"),
                ("label = \"fake\"", "label = \"real\"", "a rule for real images and one for fakes"),
                ("layout", "lay_out", "lay_out"),
            ],
        );
    }
}
