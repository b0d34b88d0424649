//! The columns of a table that hold images, labels, splits, generators and file names, found by well-known column
//! names.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use artifacts::Label;
use artifacts::command;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Type;
use parquet::file::reader::Length;
use parquet::schema::types::SchemaDescriptor;
use serde_json::Value;

use super::file::{TableFile, catch_errors};
use crate::config::SourceConfig;

/// Names of columns of image files. Such a column holds the bytes of the file, or a group with a field [`BYTES`].
const IMAGES: [&str; 6] = ["image", "img", "image_data", "image_bytes", "picture", "bytes"];
/// The field with the bytes of the file in such a group (the `Image` feature of the Hugging Face hub).
const BYTES: &str = "bytes";
/// The field with the name of the file in such a group.
const PATH: &str = "path";
const NAMES: [&str; 5] = ["image_name", "file_name", "filename", "path", "name"];
const LABELS: [&str; 4] = ["label", "labels", "class", "target"];
/// Names of columns of truth values, with the class of `true`.
const TRUTHS: [(&str, Label); 14] = [
    ("is_fake", Label::Fake),
    ("fake", Label::Fake),
    ("is_ai", Label::Fake),
    ("ai", Label::Fake),
    ("is_ai_generated", Label::Fake),
    ("ai_generated", Label::Fake),
    ("is_generated", Label::Fake),
    ("generated", Label::Fake),
    ("is_synthetic", Label::Fake),
    ("synthetic", Label::Fake),
    ("is_real", Label::Real),
    ("real", Label::Real),
    ("is_human", Label::Real),
    ("human", Label::Real),
];
const SPLITS: [&str; 1] = ["split"];
const GENERATORS: [&str; 3] = ["generator", "model_name", "model"];

/// The columns of one table, by index among the leaf columns of the parquet schema.
pub(super) struct Columns {
    pub(super) metadata: ArrowReaderMetadata,
    /// The bytes of the images.
    pub(super) image: usize,
    label: Option<usize>,
    split: Option<usize>,
    generator: Option<usize>,
    name: Option<usize>,
    group: Option<usize>,
    /// The columns whose cells are kept, by name.
    kept: BTreeMap<String, usize>,
    /// The names of the classes by number, if the table has them.
    classes: Option<Vec<String>>,
    /// The class of the label `true`, if the labels are truth values whose column is named after a class.
    class_of_true: Option<Label>,
}

/// The cells of one row, except the image. An empty cell is `None`.
pub(super) struct Cells {
    pub(super) label: Option<String>,
    pub(super) split: Option<String>,
    pub(super) generator: Option<String>,
    pub(super) name: Option<String>,
    pub(super) group: Option<String>,
    /// The cells of other columns that are kept, by column. Empty cells are left out.
    pub(super) kept: BTreeMap<String, String>,
}

impl Columns {
    /// Finds the columns of a table.
    ///
    /// # Errors
    /// The table is damaged, or has no column of images, or none with the name `label_column` of the configuration.
    pub(super) fn find(file: &TableFile, config: &SourceConfig) -> Result<Columns, String> {
        let metadata = catch_errors(|| ArrowReaderMetadata::load(file, ArrowReaderOptions::new()))?;
        let schema = metadata.parquet_schema();
        let image = leaf(schema, &IMAGES.map(|name| vec![name, BYTES]))
            .or_else(|| leaf(schema, &IMAGES.map(|name| vec![name])))
            .filter(|&leaf| schema.column(leaf).physical_type() == Type::BYTE_ARRAY)
            .ok_or_else(|| no_images(schema))?;
        let is_truth = |leaf: usize| schema.column(leaf).physical_type() == Type::BOOLEAN;
        let truth = |name: &str| leaf(schema, &[vec![name]]).filter(|leaf| is_truth(*leaf));
        let label = match config.label_column.as_deref() {
            _ if config.label.is_some() => None,
            Some(name) => Some(leaf(schema, &[vec![name]]).ok_or_else(|| {
                format!("it has no column `{name}`, which ingest.label_column names; found {}", names(schema))
            })?),
            None => leaf(schema, &LABELS.map(|name| vec![name]))
                .or_else(|| TRUTHS.into_iter().find_map(|(name, _)| truth(name))),
        };
        let class_of_true = label.filter(|leaf| is_truth(*leaf)).and_then(|leaf| {
            let name = schema.column(leaf).name().to_lowercase();
            TRUTHS.into_iter().find(|(known, _)| *known == name).map(|(_, class)| class)
        });
        let classes = label.and_then(|label| classes(&metadata, schema.column(label).name()));
        Ok(Columns {
            image,
            label,
            split: leaf(schema, &SPLITS.map(|name| vec![name])),
            generator: leaf(schema, &GENERATORS.map(|name| vec![name])),
            name: leaf(schema, &NAMES.map(|name| vec![name]))
                .or_else(|| leaf(schema, &IMAGES.map(|name| vec![name, PATH]))),
            group: config.group_column.as_deref().and_then(|name| leaf(schema, &[vec![name]])),
            kept: config
                .report_columns
                .iter()
                .filter_map(|name| Some((name.clone(), leaf(schema, &[vec![name]])?)))
                .collect(),
            classes,
            class_of_true,
            metadata,
        })
    }

    /// Whether there is a column of labels.
    pub(super) fn has_labels(&self) -> bool {
        self.label.is_some()
    }

    /// Returns the message for a table without a column of labels.
    pub(super) fn no_labels_message(&self) -> String {
        let found = names(self.metadata.parquet_schema());
        format!(
            "it has no column of labels (expected one of {}, or ingest.label_column; found {found})",
            LABELS.join(", ")
        )
    }

    /// Whether the table has names for numbered classes.
    pub(super) fn has_class_names(&self) -> bool {
        self.classes.is_some()
    }

    /// Reads all cells except the images.
    ///
    /// # Errors
    /// The table is damaged.
    pub(super) fn read(&self, file: &TableFile) -> Result<Vec<Cells>, String> {
        let groups = self.metadata.metadata().row_groups().iter();
        // Each row takes at least one byte. Without this check, a damaged row count could exhaust the memory.
        let rows = groups
            .map(|group| u64::try_from(group.num_rows()).ok())
            .try_fold(0_u64, |sum, rows| sum.checked_add(rows?))
            .filter(|rows| *rows <= file.len())
            .ok_or("its row count is larger than the file")?;
        let column = |leaf| self.column(file, leaf, rows as usize);
        let others = column(self.split)?.zip(column(self.generator)?).zip(column(self.name)?.zip(column(self.group)?));
        let cells = column(self.label)?.zip(others).map(|(label, ((split, generator), (name, group)))| Cells {
            label: label.map(|label| self.class_name(label)),
            split,
            generator,
            name,
            group,
            kept: BTreeMap::new(),
        });
        let mut cells: Vec<Cells> = cells.collect();
        for (name, leaf) in &self.kept {
            for (cells, cell) in cells.iter_mut().zip(column(Some(*leaf))?) {
                cells.kept.extend(cell.map(|cell| (name.clone(), cell)));
            }
        }
        Ok(cells)
    }

    /// Returns the `rows` cells of a column; empty cells if there is no such column.
    fn column(
        &self,
        file: &TableFile,
        leaf: Option<usize>,
        rows: usize,
    ) -> Result<Box<dyn Iterator<Item = Option<String>>>, String> {
        let Some(leaf) = leaf else { return Ok(Box::new(std::iter::repeat_n(None, rows))) };
        let column = catch_errors(|| self.text(file, leaf))?;
        if column.len() == rows {
            Ok(Box::new(column.into_iter()))
        } else {
            Err(format!("a column has {} rows, not {rows}", column.len()))
        }
    }

    /// Replaces the number of a class by its name, if the table has names, and a truth value by the class it means.
    fn class_name(&self, label: String) -> String {
        if let Some(class) = self.class_of_true {
            let is_true = label == "true";
            return Label::ALL.into_iter().find(|of| (*of == class) == is_true).unwrap_or(class).to_string();
        }
        let number = || label.parse::<usize>().ok();
        self.classes.as_ref().and_then(|classes| classes.get(number()?)).cloned().unwrap_or(label)
    }

    /// Reads a column as text, one cell per row. An empty cell is `None`.
    fn text(&self, file: &TableFile, leaf: usize) -> parquet::errors::Result<Vec<Option<String>>> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), self.metadata.clone());
        let mask = ProjectionMask::leaves(builder.parquet_schema(), [leaf]);
        let mut column = Vec::new();
        for batch in builder.with_projection(mask).build()? {
            let cells = innermost(batch?.column(0));
            let text = cast(&cells, &DataType::Utf8)?;
            // pandas stores an integer column with missing values as floats.
            let float = cells.data_type().is_floating();
            let trimmed = |cell: &str| {
                let cell = cell.trim();
                cell.strip_suffix(".0").filter(|_| float).unwrap_or(cell).to_owned()
            };
            column.extend(text.as_string::<i32>().iter().map(|cell| cell.map(trimmed).filter(|cell| !cell.is_empty())));
        }
        Ok(column)
    }
}

/// Returns the names of the columns, separated by commas.
fn names(schema: &SchemaDescriptor) -> String {
    schema.root_schema().get_fields().iter().map(|field| field.name()).collect::<Vec<_>>().join(", ")
}

fn no_images(schema: &SchemaDescriptor) -> String {
    let fields = schema.root_schema().get_fields();
    if fields.iter().any(|field| field.name() == "pixels") {
        let evaluate = command::line("evaluate --data FOLDER");
        return format!("it is a shard made by ingest; to evaluate a model on shards, use `{evaluate}`");
    }
    format!("it has no column of image files (expected one of {}; found {})", IMAGES.join(", "), names(schema))
}

/// Unwraps the groups around the only leaf column of a batch.
pub(super) fn innermost(column: &ArrayRef) -> ArrayRef {
    match column.as_any().downcast_ref::<StructArray>() {
        Some(group) if group.num_columns() == 1 => innermost(group.column(0)),
        _ => column.clone(),
    }
}

/// Returns the index of the leaf column at the first of `paths` that exists in the table. Case does not matter.
fn leaf(schema: &SchemaDescriptor, paths: &[Vec<&str>]) -> Option<usize> {
    let has_path = |leaf: usize, path: &[&str]| {
        let column = schema.column(leaf);
        let parts = column.path().parts();
        parts.len() == path.len() && parts.iter().zip(path).all(|(part, name)| part.eq_ignore_ascii_case(name))
    };
    paths.iter().find_map(|path| (0..schema.num_columns()).find(|&leaf| has_path(leaf, path)))
}

/// Reads the class names from the `ClassLabel` feature of the Hugging Face hub. They are often in alphabetical order,
/// so that `fake` is class 0.
fn classes(metadata: &ArrowReaderMetadata, label: &str) -> Option<Vec<String>> {
    let entries = metadata.metadata().file_metadata().key_value_metadata()?;
    let text = entries.iter().find(|entry| entry.key == "huggingface")?.value.as_ref()?;
    let features: Value = serde_json::from_str(text).ok()?;
    let names = features["info"]["features"][label]["names"].as_array()?;
    names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}
