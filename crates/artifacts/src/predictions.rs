//! `predictions.parquet`: the scores of every judged sample.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, Float64Array, RecordBatch, StringArray, UInt8Array, UInt32Array,
};
use arrow::datatypes::{Float32Type, Float64Type, UInt8Type, UInt32Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::hash::Hash;
use crate::{Error, Label, Result, atomic};

/// The score of one sample by one training run.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// BLAKE3 of the source file.
    pub id: Hash,
    /// Where the source had it.
    pub path: String,
    /// Its class.
    pub label: Label,
    /// Its generator, "" where unknown.
    pub generator: String,
    /// The training run that judged it.
    pub run: u32,
    /// The network's output for real.
    pub logit_real: f32,
    /// The network's output for fake.
    pub logit_fake: f32,
    /// Softmax of the two: the probability of being fake.
    pub p_fake: f64,
    /// The same after the temperature that validation chose; `None` where none was fitted.
    pub p_fake_calibrated: Option<f64>,
    /// The class called at threshold 0.5.
    pub predicted: Label,
}

impl Prediction {
    /// The logit of fake minus that of real: what images are ranked by, because P(fake) is 1 to the last digit from 37 on.
    pub fn margin(&self) -> f64 {
        f64::from(self.logit_fake) - f64::from(self.logit_real)
    }
}

/// Writes all predictions as a whole.
pub fn write(path: &Path, predictions: &[Prediction]) -> Result<()> {
    let batch = to_batch(predictions).map_err(|e| Error::malformed(path, "table of predictions", e))?;
    atomic::write_with(path, |file| {
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None)?;
        writer.write(&batch)?;
        writer.close()?;
        Ok(())
    })
}

/// Reads all predictions.
pub fn read(path: &Path) -> Result<Vec<Prediction>> {
    let malformed = |detail: String| Error::malformed(path, "table of predictions", detail);
    let file = File::open(path).map_err(Error::io("open", path))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.build())
        .map_err(|e| malformed(e.to_string()))?;
    let mut predictions = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|e| malformed(e.to_string()))?;
        from_batch(&batch, &mut predictions).map_err(malformed)?;
    }
    Ok(predictions)
}

fn to_batch(rows: &[Prediction]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let text = |of: fn(&Prediction) -> String| Arc::new(StringArray::from_iter_values(rows.iter().map(of))) as ArrayRef;
    let label = |of: fn(&Prediction) -> Label| {
        Arc::new(UInt8Array::from_iter_values(rows.iter().map(|row| of(row).index()))) as ArrayRef
    };
    let logit = |of: fn(&Prediction) -> f32| Arc::new(Float32Array::from_iter_values(rows.iter().map(of))) as ArrayRef;
    RecordBatch::try_from_iter([
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
    ])
}

fn from_batch(batch: &RecordBatch, rows: &mut Vec<Prediction>) -> Result<(), String> {
    let column = |name: &str| {
        let column = batch.column_by_name(name).ok_or_else(|| format!("it has no column `{name}`"))?;
        if column.null_count() > 0 { Err(format!("column `{name}` has nulls")) } else { Ok(column) }
    };
    let wrong = |name: &str| format!("column `{name}` has another type than expected");
    let text = |name: &str| column(name)?.as_string_opt::<i32>().cloned().ok_or_else(|| wrong(name));
    let small = |name: &str| column(name)?.as_primitive_opt::<UInt8Type>().cloned().ok_or_else(|| wrong(name));
    let logit = |name: &str| column(name)?.as_primitive_opt::<Float32Type>().cloned().ok_or_else(|| wrong(name));
    let (ids, paths, generators) = (text("id")?, text("path")?, text("generator")?);
    let (labels, predicted) = (small("label")?, small("predicted")?);
    let (logit_real, logit_fake) = (logit("logit_real")?, logit("logit_fake")?);
    let runs = column("run")?.as_primitive_opt::<UInt32Type>().ok_or_else(|| wrong("run"))?.clone();
    let p_fake = column("p_fake")?.as_primitive_opt::<Float64Type>().ok_or_else(|| wrong("p_fake"))?.clone();
    // Tables of earlier versions have no such column.
    let calibrated = match batch.column_by_name("p_fake_calibrated") {
        None => None,
        Some(column) => {
            Some(column.as_primitive_opt::<Float64Type>().ok_or_else(|| wrong("p_fake_calibrated"))?.clone())
        }
    };
    let class =
        |index: u8| Label::from_index(index).ok_or_else(|| format!("{index} is no class; 0 is real, 1 is fake"));
    for i in 0..batch.num_rows() {
        rows.push(Prediction {
            id: ids.value(i).parse().map_err(|e| format!("row {i} has a bad id: {e}"))?,
            path: paths.value(i).to_owned(),
            label: class(labels.value(i))?,
            generator: generators.value(i).to_owned(),
            run: runs.value(i),
            logit_real: logit_real.value(i),
            logit_fake: logit_fake.value(i),
            p_fake: p_fake.value(i),
            p_fake_calibrated: calibrated.as_ref().filter(|column| column.is_valid(i)).map(|column| column.value(i)),
            predicted: class(predicted.value(i))?,
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
            })
            .collect();
        write(&path, &rows).unwrap();
        assert_eq!(read(&path).unwrap(), rows);
    }

    #[test]
    fn a_file_that_is_no_table_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("predictions.parquet");
        std::fs::write(&path, b"PAR1 and then nothing of use").unwrap();
        assert!(matches!(read(&path), Err(Error::Malformed { .. })));
    }
}
