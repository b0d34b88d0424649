//! Tables of results as Markdown and LaTeX, for papers and pages.

use std::collections::BTreeMap;

use artifacts::schema::{Groups, Interval, Metric, Metrics, Scores};
use artifacts::text::visible;
use clap::ValueEnum;

/// The metrics of a table of detectors.
const METRICS: [&str; 5] = ["roc_auc", "pr_auc", "accuracy", "balanced_accuracy", "f1"];

/// The language of a table, as on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// A table of GitHub's Markdown
    Markdown,
    /// A tabular of LaTeX with the rules of the package booktabs
    Latex,
}

/// A table: a caption, the names of the columns, and rows of a name and cells.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultTable {
    caption: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<TableCell>)>,
}

/// A value with its 95% interval. `None` is undefined.
#[derive(Clone, Copy, Debug, PartialEq)]
struct TableCell(Option<f64>, Option<Interval>);

/// The scores of one detector at threshold 0.5.
#[derive(Clone, Copy, Debug)]
pub struct DetectorScores<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its scores.
    pub scores: &'a Scores,
    /// Their 95% intervals, by key.
    pub intervals: &'a BTreeMap<String, Interval>,
}

/// Writes the tables of evaluated detectors: their scores, and if there are generators, the scores for each of them.
/// `images` describes the images: "602 of 606 images of photos".
pub fn tables(detectors: &[(&str, &Metrics)], images: &str, format: TableFormat) -> String {
    let scores: Vec<DetectorScores<'_>> = detectors
        .iter()
        .map(|&(name, metrics)| DetectorScores { name, scores: &metrics.headline, intervals: &metrics.intervals })
        .collect();
    let mut text = ResultTable::of_detectors(&scores, images).text(format);
    let groups: Vec<_> =
        detectors.iter().filter_map(|(name, metrics)| Some((*name, &metrics.runs.first()?.generators))).collect();
    // Verdicts have no ROC-AUC.
    let has_scores = detectors.iter().any(|(_, metrics)| metrics.headline.roc_auc.is_some());
    let metric = Metric::by_key(if has_scores { "roc_auc" } else { "fake_accuracy" });
    if let Some(table) = metric.and_then(|metric| ResultTable::of_generators(&groups, metric)) {
        text += &format!("\n{}", table.text(format));
    }
    text
}

impl ResultTable {
    /// A row for each detector, with the usual scores. `images` describes the images: "602 of 606 images of photos".
    pub fn of_detectors(detectors: &[DetectorScores<'_>], images: &str) -> ResultTable {
        let metrics: Vec<&Metric> = METRICS.into_iter().filter_map(Metric::by_key).collect();
        let cells = |detector: &DetectorScores<'_>| {
            let cell = |metric: &&Metric| {
                let value = metric.informative_value(detector.scores);
                TableCell(value, detector.intervals.get(metric.key).copied())
            };
            metrics.iter().map(cell).collect()
        };
        ResultTable {
            caption: format!("Scores at threshold 0.5 with 95% confidence intervals, {images}"),
            columns: std::iter::once("Detector".to_owned())
                .chain(metrics.iter().map(|metric| metric.name.to_owned()))
                .collect(),
            rows: detectors.iter().map(|detector| (detector.name.to_owned(), cells(detector))).collect(),
        }
    }

    /// A row for each detector, with a metric for the fakes of each generator and all real images, the mean over the
    /// generators and the worst one. `None` if there are no generators.
    pub fn of_generators(detectors: &[(&str, &Groups)], metric: &Metric) -> Option<ResultTable> {
        let mut names: Vec<&str> =
            detectors.iter().flat_map(|(_, groups)| &groups.groups).map(|group| group.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            return None;
        }
        let cells = |groups: &Groups| -> Vec<TableCell> {
            let of_group = |name: &&str| match groups.groups.iter().find(|group| group.name == **name) {
                Some(group) => {
                    TableCell(metric.informative_value(&group.scores), group.intervals.get(metric.key).copied())
                }
                None => TableCell(None, None),
            };
            let mean = TableCell(groups.mean.get(metric.key).copied(), None);
            let worst = TableCell(groups.worst.get(metric.key).map(|worst| worst.value), None);
            names.iter().map(of_group).chain([mean, worst]).collect()
        };
        let at = if metric.depends_on_threshold() { " at threshold 0.5" } else { "" };
        Some(ResultTable {
            caption: format!("{}{at} for the fakes of each generator and their real images", metric.name),
            columns: ["Detector"].iter().chain(&names).chain(&["mean", "worst"]).map(|name| visible(name)).collect(),
            rows: detectors.iter().map(|(name, groups)| ((*name).to_owned(), cells(groups))).collect(),
        })
    }

    /// Writes the table.
    pub fn text(&self, format: TableFormat) -> String {
        match format {
            TableFormat::Markdown => self.markdown(),
            TableFormat::Latex => self.latex(),
        }
    }

    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let header: Vec<String> = self.columns.iter().map(|name| escape_markdown(name)).collect();
        let rules: Vec<String> =
            (0..header.len()).map(|index| if index == 0 { "---" } else { "---:" }.to_owned()).collect();
        let mut text = format!("{}\n\n{}{}", escape_markdown(&self.caption), line(&header), line(&rules));
        for (name, cells) in &self.rows {
            let cells = cells.iter().map(|cell| match cell {
                TableCell(None, _) => "–".to_owned(),
                TableCell(Some(value), None) => format!("{value:.3}"),
                TableCell(Some(value), Some(interval)) => {
                    format!("{value:.3} [{:.3}, {:.3}]", interval.low, interval.high)
                }
            });
            text.push_str(&line(&std::iter::once(escape_markdown(&visible(name))).chain(cells).collect::<Vec<_>>()));
        }
        text
    }

    fn latex(&self) -> String {
        let line = |cells: &[String]| format!("{} \\\\\n", cells.join(" & "));
        let header: Vec<String> = self.columns.iter().map(|name| escape_latex(name)).collect();
        let mut text = format!(
            "% {}\n% needs \\usepackage{{booktabs}}\n\\begin{{tabular}}{{l{}}}\n\\toprule\n{}\\midrule\n",
            visible(&self.caption),
            "r".repeat(header.len().saturating_sub(1)),
            line(&header)
        );
        for (name, cells) in &self.rows {
            let cells = cells.iter().map(|cell| match cell {
                TableCell(None, _) => "--".to_owned(),
                TableCell(Some(value), None) => format!("{value:.3}"),
                TableCell(Some(value), Some(interval)) => {
                    format!("{value:.3} {{\\footnotesize [{:.3}, {:.3}]}}", interval.low, interval.high)
                }
            });
            text.push_str(&line(&std::iter::once(escape_latex(&visible(name))).chain(cells).collect::<Vec<_>>()));
        }
        text.push_str("\\bottomrule\n\\end{tabular}\n");
        text
    }
}

/// Escapes what Markdown would read as markup.
fn escape_markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Escapes what LaTeX would read as a command.
fn escape_latex(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use artifacts::schema::{Confusion, Group, Worst};

    use super::*;

    fn scores(roc_auc: Option<f64>) -> Scores {
        let confusion = Confusion { true_negative: 4, false_positive: 1, false_negative: 2, true_positive: 3 };
        Scores::new(0.5, confusion, &[("roc_auc", roc_auc)])
    }

    #[test]
    fn writes_values_with_intervals_and_escapes_names() {
        let intervals = BTreeMap::from([("accuracy".to_owned(), Interval { low: 0.4, high: 0.90049 })]);
        let (scored, verdicts) = (scores(Some(0.875)), scores(None));
        let detectors = [
            DetectorScores { name: "a_b|c", scores: &scored, intervals: &intervals },
            DetectorScores { name: "50% \\ {x}", scores: &verdicts, intervals: &BTreeMap::new() },
        ];
        let table = ResultTable::of_detectors(&detectors, "10 images");
        let markdown = table.text(TableFormat::Markdown);
        assert!(
            markdown.contains("| Detector | ROC-AUC | PR-AUC | Accuracy | Balanced accuracy | F1 (fake) |\n"),
            "{markdown}"
        );
        assert!(markdown.contains("| a\\_b\\|c | 0.875 | – | 0.700 [0.400, 0.900] | 0.700 | 0.667 |\n"), "{markdown}");
        let latex = table.text(TableFormat::Latex);
        assert!(latex.contains("\\begin{tabular}{lrrrrr}") && latex.ends_with("\\bottomrule\n\\end{tabular}\n"));
        assert!(latex.contains("50\\% \\textbackslash{} \\{x\\} & -- & -- & 0.700 &"), "{latex}");
    }

    #[test]
    fn generators_have_a_column_each_and_gaps_where_a_detector_lacks_one() {
        let group = |name: &str, area: f64| Group {
            name: name.to_owned(),
            reals: 5,
            fakes: 5,
            scores: scores(Some(area)),
            fitted_balanced_accuracy: None,
            fitted_verdicts: None,
            intervals: BTreeMap::new(),
        };
        let groups = Groups {
            groups: vec![group("gan", 0.9), group("sd", 0.5)],
            mean: BTreeMap::from([("roc_auc".to_owned(), 0.7)]),
            worst: BTreeMap::from([("roc_auc".to_owned(), Worst { name: "sd".to_owned(), value: 0.5 })]),
        };
        let fewer = Groups { groups: vec![group("sd", 0.6)], ..Groups::default() };
        let metric = Metric::by_key("roc_auc").unwrap();
        let table = ResultTable::of_generators(&[("a", &groups), ("b", &fewer)], metric).unwrap();
        let text = table.text(TableFormat::Markdown);
        assert!(text.contains("| Detector | gan | sd | mean | worst |"), "{text}");
        assert!(
            text.contains("| a | 0.900 | 0.500 | 0.700 | 0.500 |") && text.contains("| b | – | 0.600 | – | – |"),
            "{text}"
        );
        assert_eq!(ResultTable::of_generators(&[("a", &Groups::default())], metric), None);
    }
}
