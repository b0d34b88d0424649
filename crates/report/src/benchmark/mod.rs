//! The page of a benchmark: the results of evaluations among those that were published.

mod figure;
mod page;
#[cfg(test)]
mod test_data;

use std::path::{Path, PathBuf};

use artifacts::atomic::{self, DirWriter};
use artifacts::command;
use artifacts::names::{self, PAGE};
use artifacts::schema::{BenchmarkCopy, Interval, Metric, Metrics, PublishedResult, PublishedTable};

use crate::error::Error;
use crate::output::{FIGURES_DIR, embed_downloads, write_csv, write_figures, write_file};
use crate::table::Table;

/// A detector that was evaluated here.
struct Evaluated {
    name: String,
    metrics: Metrics,
}

/// The result of a detector on a benchmark.
struct BenchmarkResult<'a> {
    name: &'a str,
    mean: Option<f64>,
    /// The mean of the generators' intervals, which is at least as wide as the interval of the mean.
    interval: Option<Interval>,
    worst: Option<(&'a str, f64)>,
}

/// Writes `benchmark/` into `dir`, which has `benchmark.json`, and returns the path of the page. `evaluations` are
/// folders with `metrics.json`.
///
/// # Errors
/// A file is missing or malformed, or the page cannot be written.
pub fn write(dir: &Path, evaluations: &[PathBuf]) -> Result<PathBuf, Error> {
    let path = dir.join(BenchmarkCopy::FILE);
    if !path.exists() {
        let advice = format!("run `{}` first", command::line("benchmark NAME --root FOLDER"));
        return Err(artifacts::Error::Missing { artifact: "benchmark".to_owned(), path, advice }.into());
    }
    let copy: BenchmarkCopy = atomic::read_versioned(&path, "benchmark", BenchmarkCopy::SCHEMA_VERSION)?;
    let Some(metric) = Metric::by_key(&copy.metric) else {
        let detail = format!("`{}` is no metric", copy.metric);
        return Err(artifacts::Error::malformed(&path, "benchmark", detail).into());
    };
    let evaluated = evaluations.iter().map(|dir| read(dir)).collect::<Result<Vec<_>, _>>()?;
    let target = dir.join(BenchmarkCopy::REPORT);
    let writer = DirWriter::create(&target)?;
    let figures = writer.path().join(FIGURES_DIR);
    let drawn = figure::draw(&copy, metric, &evaluated);
    let is_simulated = evaluated.iter().any(|detector| detector.metrics.simulated);
    write_figures(&figures, &drawn, is_simulated.then_some("simulated data"))?;
    write_csv(&figures, "results", &results_table(&copy, metric, &evaluated))?;
    let page = embed_downloads(&page::render(&copy, metric, &evaluated, drawn.as_ref()), writer.path())?;
    write_file(&writer.path().join(PAGE), page.as_bytes())?;
    writer.publish()?;
    Ok(target.join(PAGE))
}

fn read(evaluation: &Path) -> Result<Evaluated, Error> {
    let path = evaluation.join(names::METRICS);
    let metrics: Metrics = atomic::read_versioned(&path, "metrics", Metrics::SCHEMA_VERSION)?;
    if metrics.runs.is_empty() {
        return Err(Error::NoRuns);
    }
    let run = || evaluation.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let name = metrics.judged.as_ref().map_or_else(run, |judged| judged.model.clone());
    Ok(Evaluated { name, metrics })
}

impl Evaluated {
    /// Returns the mean and the worst value of a metric over the generators. Without generators, the mean is the value
    /// of all images.
    fn result(&self, metric: &Metric) -> BenchmarkResult<'_> {
        let generators = &self.metrics.runs[0].generators;
        let name = &self.name;
        if generators.groups.is_empty() {
            let mean = metric.informative_value(&self.metrics.headline);
            let interval = self.metrics.intervals.get(metric.key).copied();
            return BenchmarkResult { name, mean, interval, worst: None };
        }
        let intervals: Option<Vec<Interval>> =
            generators.groups.iter().map(|group| group.intervals.get(metric.key).copied()).collect();
        let interval = intervals.map(|intervals| {
            let mean = |end: fn(&Interval) -> f64| intervals.iter().map(end).sum::<f64>() / intervals.len() as f64;
            Interval { low: mean(|interval| interval.low), high: mean(|interval| interval.high) }
        });
        let worst = generators.worst.get(metric.key).map(|worst| (worst.name.as_str(), worst.value));
        BenchmarkResult { name, mean: generators.mean.get(metric.key).copied(), interval, worst }
    }
}

/// Returns the results of a source, by metric and then from the highest mean to the lowest.
fn by_mean(source: &PublishedTable) -> Vec<&PublishedResult> {
    let mut results: Vec<_> = source.results.iter().collect();
    results.sort_by(|a, b| a.metric.cmp(&b.metric).then(b.mean.total_cmp(&a.mean)));
    results
}

fn results_table(copy: &BenchmarkCopy, metric: &Metric, evaluated: &[Evaluated]) -> Table {
    let mut table = Table::new(&["detector", "source", "metric", "mean", "low", "high", "worst_generator", "worst"]);
    for detector in evaluated {
        let result = detector.result(metric);
        table.push([
            result.name.into(),
            "measured here".into(),
            metric.key.into(),
            result.mean.into(),
            result.interval.map(|interval| interval.low).into(),
            result.interval.map(|interval| interval.high).into(),
            result.worst.map_or("", |(name, _)| name).into(),
            result.worst.map(|(_, value)| value).into(),
        ]);
    }
    for source in &copy.published {
        for result in by_mean(source) {
            let worst = result.generators.iter().min_by(|a, b| a.1.total_cmp(b.1));
            table.push([
                result.method.as_str().into(),
                source.source.as_str().into(),
                result.metric.as_str().into(),
                result.mean.into(),
                None.into(),
                None.into(),
                worst.map_or("", |(name, _)| name).into(),
                worst.map(|(_, value)| *value).into(),
            ]);
        }
    }
    table
}
