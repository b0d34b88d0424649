//! `predictions.parquet`: the prediction for every evaluated image.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray, UInt8Array, UInt32Array};
use arrow::datatypes::{Float32Type, Float64Type, UInt8Type, UInt32Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::columns::{self, Columns};
use crate::hash::Hash;
use crate::{Error, Label, Result, atomic, parquet_file};

/// The prediction of one training run for one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// BLAKE3 of the source file.
    pub id: Hash,
    /// Path in the source.
    pub path: String,
    /// True class.
    pub label: Label,
    /// Generator, "" if unknown.
    pub generator: String,
    /// Number of the training run.
    pub run: u32,
    /// Logit of the class real.
    pub logit_real: f32,
    /// Logit of the class fake.
    pub logit_fake: f32,
    /// Probability of the class fake: the softmax of the logits.
    pub p_fake: f64,
    /// `p_fake` after temperature scaling; `None` if no temperature was fitted.
    pub p_fake_calibrated: Option<f64>,
    /// Predicted class at threshold 0.5.
    pub predicted: Label,
    /// P(fake) of each branch of a detector of branches; `None` if the branch has nothing to say about the image. Empty
    /// for other detectors. All rows have the same branches.
    pub branches: BTreeMap<String, Option<f64>>,
    /// The cells of the columns that `ingest.report_columns` names, by column. Empty cells are left out.
    pub columns: BTreeMap<String, String>,
}

/// What errors call the file.
const FORMAT: &str = "table of predictions";
/// Prefix of the columns of the branches: `p_fake.vit`.
const BRANCH: &str = "p_fake.";

impl Prediction {
    /// `logit_fake - logit_real`. Images are ranked by it, because P(fake) rounds to 1 for margins above 37.
    pub fn margin(&self) -> f64 {
        f64::from(self.logit_fake) - f64::from(self.logit_real)
    }
}

/// Writes predictions atomically.
pub fn write(path: &Path, predictions: &[Prediction]) -> Result<()> {
    let batch = to_batch(predictions).map_err(|e| Error::malformed(path, FORMAT, e))?;
    atomic::write_with(path, |file| {
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None)?;
        writer.write(&batch)?;
        writer.close()?;
        Ok(())
    })
}

/// Reads all predictions.
///
/// # Errors
/// The file cannot be read, is damaged or was not written by Candling.
pub fn read(path: &Path) -> Result<Vec<Prediction>> {
    let malformed = |detail: String| Error::malformed(path, FORMAT, detail);
    parquet_file::read(path, FORMAT, |bytes, metadata| {
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes.clone(), metadata).build();
        let mut predictions = Vec::new();
        for batch in reader.map_err(|e| malformed(e.to_string()))? {
            let batch = batch.map_err(|e| malformed(e.to_string()))?;
            from_batch(&batch, &mut predictions).map_err(malformed)?;
        }
        Ok(predictions)
    })
}

fn to_batch(rows: &[Prediction]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let text = |of: fn(&Prediction) -> String| Arc::new(StringArray::from_iter_values(rows.iter().map(of))) as ArrayRef;
    let label = |of: fn(&Prediction) -> Label| {
        Arc::new(UInt8Array::from_iter_values(rows.iter().map(|row| of(row).index()))) as ArrayRef
    };
    let logit = |of: fn(&Prediction) -> f32| Arc::new(Float32Array::from_iter_values(rows.iter().map(of))) as ArrayRef;
    let fixed = [
        ("id", text(|row| row.id.to_string())),
        ("path", text(|row| row.path.clone())),
        ("label", label(|row| row.label)),
        ("generator", text(|row| row.generator.clone())),
        ("run", Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.run)))),
        ("logit_real", logit(|row| row.logit_real)),
        ("logit_fake", logit(|row| row.logit_fake)),
        ("p_fake", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.p_fake)))),
        ("p_fake_calibrated", Arc::new(rows.iter().map(|row| row.p_fake_calibrated).collect::<Float64Array>())),
        ("predicted", label(|row| row.predicted)),
    ];
    let names = rows.first().map(|row| row.branches.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let branches = names.into_iter().map(|name| {
        let values = rows.iter().map(|row| row.branches.get(&name).copied().flatten());
        (format!("{BRANCH}{name}"), Arc::new(values.collect::<Float64Array>()) as ArrayRef)
    });
    let names: BTreeSet<&String> = rows.iter().flat_map(|row| row.columns.keys()).collect();
    let columns = names.into_iter().map(|name| columns::report_column(name, rows.iter().map(|row| &row.columns)));
    let fixed = fixed.into_iter().map(|(name, values)| (name.to_owned(), values));
    RecordBatch::try_from_iter(fixed.chain(branches).chain(columns))
}

fn from_batch(batch: &RecordBatch, rows: &mut Vec<Prediction>) -> Result<(), String> {
    let columns = Columns::of(batch);
    let (ids, paths, generators) = (columns.text("id")?, columns.text("path")?, columns.text("generator")?);
    let [labels, predicted] = [columns.numbers::<UInt8Type>("label")?, columns.numbers("predicted")?];
    let runs = columns.numbers::<UInt32Type>("run")?;
    let [logit_real, logit_fake] = [columns.numbers::<Float32Type>("logit_real")?, columns.numbers("logit_fake")?];
    let p_fake = columns.numbers::<Float64Type>("p_fake")?;
    let calibrated = columns.optional_numbers::<Float64Type>("p_fake_calibrated")?;
    let kept = columns.report_columns()?;
    let mut branches: Vec<(String, &Float64Array)> = Vec::new();
    for field in batch.schema().fields() {
        if let Some(name) = field.name().strip_prefix(BRANCH) {
            branches
                .extend(columns.optional_numbers::<Float64Type>(field.name())?.map(|values| (name.to_owned(), values)));
        }
    }
    for i in 0..batch.num_rows() {
        rows.push(Prediction {
            id: columns::id(i, ids.value(i))?,
            path: paths.value(i).to_owned(),
            label: columns::label(i, labels.value(i))?,
            generator: generators.value(i).to_owned(),
            run: runs.value(i),
            logit_real: logit_real.value(i),
            logit_fake: logit_fake.value(i),
            p_fake: p_fake.value(i),
            p_fake_calibrated: calibrated.filter(|column| column.is_valid(i)).map(|column| column.value(i)),
            predicted: columns::label(i, predicted.value(i))?,
            branches: branches
                .iter()
                .map(|(name, column)| (name.clone(), column.is_valid(i).then(|| column.value(i))))
                .collect(),
            columns: columns::cells(&kept, i),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_round_trip() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("predictions.parquet");
        let rows: Vec<_> = (0..3u32)
            .map(|run| Prediction {
                id: Hash::of(&[run as u8]),
                path: format!("test/fake/{run}.jpg"),
                label: Label::Fake,
                generator: String::new(),
                run,
                logit_real: -1.5,
                logit_fake: f32::MAX,
                p_fake: 0.25,
                p_fake_calibrated: (run > 0).then_some(0.3),
                predicted: Label::Real,
                branches: BTreeMap::from([("vit".to_owned(), Some(0.7)), ("frequency".to_owned(), None)]),
                columns: (run > 0).then(|| ("camera".to_owned(), format!("Pixel {run}"))).into_iter().collect(),
            })
            .collect();
        write(&path, &rows).unwrap();
        assert_eq!(read(&path).unwrap(), rows);
    }

    #[test]
    fn error_for_unknown_label_names_row() {
        let labels: ArrayRef = Arc::new(UInt8Array::from(vec![0, 2]));
        let text: ArrayRef = Arc::new(StringArray::from(vec![Hash::of(b"").to_string(); 2]));
        let run: ArrayRef = Arc::new(UInt32Array::from(vec![0, 0]));
        let logit: ArrayRef = Arc::new(Float32Array::from(vec![0.0, 0.0]));
        let p_fake: ArrayRef = Arc::new(Float64Array::from(vec![0.5, 0.5]));
        let columns = [("id", &text), ("path", &text), ("label", &labels), ("generator", &text), ("run", &run)];
        let scores = [("logit_real", &logit), ("logit_fake", &logit), ("p_fake", &p_fake), ("predicted", &labels)];
        let columns = columns.into_iter().chain(scores).map(|(name, column)| (name, Arc::clone(column)));
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        assert_eq!(from_batch(&batch, &mut Vec::new()).unwrap_err(), "row 1 has label 2; 0 is real, 1 is fake");
    }
}
