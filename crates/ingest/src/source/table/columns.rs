//! Which columns of a table say what.

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::schema::types::SchemaDescriptor;
use serde_json::Value;

use crate::source::shared_file::SharedFile;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cells {
    pub(super) label: Option<String>,
    pub(super) split: Option<String>,
    pub(super) generator: Option<String>,
    pub(super) name: Option<String>,
}

impl Columns {
    /// Finds the columns; what is wrong where that fails.
    pub(super) fn of(file: &SharedFile) -> Result<Columns, String> {
        let metadata = ArrowReaderMetadata::load(file, ArrowReaderOptions::new()).map_err(|error| error.to_string())?;
        let schema = metadata.parquet_schema();
        let image = leaf(schema, &IMAGES.map(|name| vec![name, BYTES]))
            .or_else(|| leaf(schema, &IMAGES.map(|name| vec![name])))
            .ok_or_else(|| {
                format!(
                    "no column has image files (looked for {}; there are {})",
                    IMAGES.join(", "),
                    schema.root_schema().get_fields().iter().map(|field| field.name()).collect::<Vec<_>>().join(", ")
                )
            })?;
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

    /// Whether it does so by numbers that have no names.
    pub(super) fn has_numbered_labels(&self) -> bool {
        let numbered = |leaf| {
            let name = self.metadata.parquet_schema().column(leaf).name().to_owned();
            self.metadata.schema().field_with_name(&name).is_ok_and(|field| field.data_type().is_integer())
        };
        self.classes.is_none() && self.label.is_some_and(numbered)
    }

    /// Reads all cells but the images.
    pub(super) fn read(&self, file: &SharedFile) -> Result<Vec<Cells>, String> {
        let [labels, splits, generators, names] =
            [self.label, self.split, self.generator, self.name].map(|leaf| self.text(file, leaf));
        let others = splits?.into_iter().zip(generators?).zip(names?);
        let cells = labels?.into_iter().zip(others).map(|(label, ((split, generator), name))| Cells {
            label: label.map(|label| self.class(label)),
            split,
            generator,
            name,
        });
        Ok(cells.collect())
    }

    /// The name of a numbered class; other labels are names.
    fn class(&self, label: String) -> String {
        let number = || label.parse::<usize>().ok();
        self.classes.as_ref().and_then(|classes| classes.get(number()?)).cloned().unwrap_or(label)
    }

    /// One column as text, a cell for each row; empty cells are none, and so are those of no column.
    fn text(&self, file: &SharedFile, leaf: Option<usize>) -> Result<Vec<Option<String>>, String> {
        let rows: i64 = self.metadata.metadata().row_groups().iter().map(|group| group.num_rows().max(0)).sum();
        let Some(leaf) = leaf else { return Ok(vec![None; rows as usize]) };
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), self.metadata.clone());
        let mask = ProjectionMask::leaves(builder.parquet_schema(), [leaf]);
        let reader = builder.with_projection(mask).build().map_err(|error| error.to_string())?;
        let mut column = Vec::new();
        for batch in reader {
            let batch = batch.map_err(|error| error.to_string())?;
            let text = cast(&innermost(batch.column(0)), &DataType::Utf8).map_err(|error| error.to_string())?;
            let cells = text.as_string::<i32>().iter();
            column.extend(cells.map(|cell| cell.map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned)));
        }
        match column.len() as i64 == rows {
            true => Ok(column),
            false => Err(format!("a column has {} rows, not {rows}", column.len())),
        }
    }
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
        let parts = schema.column(leaf).path().parts().to_vec();
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
