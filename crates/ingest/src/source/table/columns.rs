//! Which columns of a table say what.

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Type;
use parquet::file::reader::Length;
use parquet::schema::types::SchemaDescriptor;
use serde_json::Value;

use super::file::{TableFile, contained};

/// Columns with the bytes of an image file, or with a group that has them under [`BYTES`].
const IMAGES: [&str; 6] = ["image", "img", "image_data", "image_bytes", "picture", "bytes"];
/// The part of a group with an image that is the file; hub's `Image` feature.
const BYTES: &str = "bytes";
/// The part of such a group that names the file.
const PATH: &str = "path";
const NAMES: [&str; 5] = ["image_name", "file_name", "filename", "path", "name"];
const LABELS: [&str; 4] = ["label", "labels", "class", "target"];
const SPLITS: [&str; 1] = ["split"];
const GENERATORS: [&str; 3] = ["generator", "model_name", "model"];

/// The columns of one table that are read.
pub(super) struct Columns {
    pub(super) metadata: ArrowReaderMetadata,
    /// The leaf with the images' bytes.
    pub(super) image: usize,
    /// The leaves with labels, splits, generators and names.
    label: Option<usize>,
    split: Option<usize>,
    generator: Option<usize>,
    name: Option<usize>,
    /// Names of numbered classes, where the table has them.
    classes: Option<Vec<String>>,
}

/// What one row says, apart from its image.
pub(super) struct Cells {
    pub(super) label: Option<String>,
    pub(super) split: Option<String>,
    pub(super) generator: Option<String>,
    pub(super) name: Option<String>,
}

impl Columns {
    /// Finds the columns; what is wrong where that fails.
    pub(super) fn of(file: &TableFile) -> Result<Columns, String> {
        let metadata = contained(|| ArrowReaderMetadata::load(file, ArrowReaderOptions::new()))?;
        let schema = metadata.parquet_schema();
        let image = leaf(schema, &IMAGES.map(|name| vec![name, BYTES]))
            .or_else(|| leaf(schema, &IMAGES.map(|name| vec![name])))
            .filter(|&leaf| schema.column(leaf).physical_type() == Type::BYTE_ARRAY)
            .ok_or_else(|| no_images(schema))?;
        let label = leaf(schema, &LABELS.map(|name| vec![name]));
        let classes = label.and_then(|label| classes(&metadata, schema.column(label).name()));
        Ok(Columns {
            image,
            label,
            split: leaf(schema, &SPLITS.map(|name| vec![name])),
            generator: leaf(schema, &GENERATORS.map(|name| vec![name])),
            name: leaf(schema, &NAMES.map(|name| vec![name]))
                .or_else(|| leaf(schema, &IMAGES.map(|name| vec![name, PATH]))),
            classes,
            metadata,
        })
    }

    /// Whether a column says the class.
    pub(super) fn has_labels(&self) -> bool {
        self.label.is_some()
    }

    /// Why none does.
    pub(super) fn no_labels(&self) -> String {
        let there = names(self.metadata.parquet_schema());
        format!("no column says the class (looked for {}; there are {there})", LABELS.join(", "))
    }

    /// Whether the table has names for numbered classes.
    pub(super) fn has_class_names(&self) -> bool {
        self.classes.is_some()
    }

    /// Reads all cells but the images.
    pub(super) fn read(&self, file: &TableFile) -> Result<Vec<Cells>, String> {
        let groups = self.metadata.metadata().row_groups().iter();
        // A row takes a byte of the file at least; what a damaged file says of them must not become memory.
        let rows = groups
            .map(|group| u64::try_from(group.num_rows()).ok())
            .try_fold(0_u64, |sum, rows| sum.checked_add(rows?))
            .filter(|rows| *rows <= file.len())
            .ok_or("the number of its rows cannot be")?;
        let column = |leaf| self.column(file, leaf, rows as usize);
        let others = column(self.split)?.zip(column(self.generator)?).zip(column(self.name)?);
        let cells = column(self.label)?.zip(others).map(|(label, ((split, generator), name))| Cells {
            label: label.map(|label| self.class(label)),
            split,
            generator,
            name,
        });
        Ok(cells.collect())
    }

    /// A column's cells, as many as `rows`; those of no column are empty.
    fn column(
        &self,
        file: &TableFile,
        leaf: Option<usize>,
        rows: usize,
    ) -> Result<Box<dyn Iterator<Item = Option<String>>>, String> {
        let Some(leaf) = leaf else { return Ok(Box::new(std::iter::repeat_n(None, rows))) };
        let column = contained(|| self.text(file, leaf))?;
        if column.len() == rows {
            Ok(Box::new(column.into_iter()))
        } else {
            Err(format!("a column has {} rows, not {rows}", column.len()))
        }
    }

    /// The name of a numbered class; other labels are names.
    fn class(&self, label: String) -> String {
        let number = || label.parse::<usize>().ok();
        self.classes.as_ref().and_then(|classes| classes.get(number()?)).cloned().unwrap_or(label)
    }

    /// One column as text, a cell for each row; empty cells are none.
    fn text(&self, file: &TableFile, leaf: usize) -> parquet::errors::Result<Vec<Option<String>>> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), self.metadata.clone());
        let mask = ProjectionMask::leaves(builder.parquet_schema(), [leaf]);
        let mut column = Vec::new();
        for batch in builder.with_projection(mask).build()? {
            let cells = innermost(batch?.column(0));
            let text = cast(&cells, &DataType::Utf8)?;
            // A column of numbers of which some are missing is often one of floats.
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

/// Names of the columns.
fn names(schema: &SchemaDescriptor) -> String {
    schema.root_schema().get_fields().iter().map(|field| field.name()).collect::<Vec<_>>().join(", ")
}

fn no_images(schema: &SchemaDescriptor) -> String {
    let fields = schema.root_schema().get_fields();
    if fields.iter().any(|field| field.name() == "pixels") {
        return "it is a shard of Candling's own, which `cargo xtask evaluate --data` judges".to_owned();
    }
    format!("no column has the bytes of image files (looked for {}; there are {})", IMAGES.join(", "), names(schema))
}

/// The only column that is left of a group when one leaf is read.
pub(super) fn innermost(column: &ArrayRef) -> ArrayRef {
    match column.as_any().downcast_ref::<StructArray>() {
        Some(group) if group.num_columns() == 1 => innermost(group.column(0)),
        _ => column.clone(),
    }
}

/// The first of some paths that the table has, as the number of its leaf; case does not matter.
fn leaf(schema: &SchemaDescriptor, paths: &[Vec<&str>]) -> Option<usize> {
    let is = |leaf: usize, path: &[&str]| {
        let column = schema.column(leaf);
        let parts = column.path().parts();
        parts.len() == path.len() && parts.iter().zip(path).all(|(part, name)| part.eq_ignore_ascii_case(name))
    };
    paths.iter().find_map(|path| (0..schema.num_columns()).find(|&leaf| is(leaf, path)))
}

/// The names of the classes of the hub's `ClassLabel` feature. Their order is often that of the alphabet, where `fake` is 0.
fn classes(metadata: &ArrowReaderMetadata, label: &str) -> Option<Vec<String>> {
    let entries = metadata.metadata().file_metadata().key_value_metadata()?;
    let text = entries.iter().find(|entry| entry.key == "huggingface")?.value.as_ref()?;
    let features: Value = serde_json::from_str(text).ok()?;
    let names = features["info"]["features"][label]["names"].as_array()?;
    names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}
