//! The roles of columns, found by their names.

use artifacts::hash::Hash;

use super::ColumnNames;
use super::cell::Cell;
use super::row::{Row, ScoreColumn};

/// The roles of columns, with the names that each is found by. Case does not matter, and the first name wins.
pub const ROLES: &[(&str, &[&str])] = &[
    (
        "path",
        &[
            "path",
            "file",
            "filename",
            "file_name",
            "filepath",
            "file_path",
            "image_path",
            "img_path",
            "image_name",
            "image",
            "img",
            "fname",
            "name",
        ],
    ),
    ("id", &["id", "hash", "blake3", "image_id"]),
    ("probability", &["p_fake", "prob_fake", "fake_prob", "fake_probability", "probability", "prob", "proba"]),
    ("logit", &["logit", "logits", "margin"]),
    ("logit_real", &["logit_real", "real_logit", "logit_0"]),
    ("logit_fake", &["logit_fake", "fake_logit", "logit_1"]),
    ("score", &["score", "fake_score", "y_score", "y_prob", "pred_prob", "output", "pred", "prediction", "y_pred"]),
    ("verdict", &["verdict", "decision", "predicted", "predicted_label", "pred_label"]),
    ("label", &["label", "y_true", "target", "gt", "ground_truth", "truth", "is_fake", "class"]),
    ("generator", &["generator", "generator_name"]),
    ("split", &["split"]),
    ("model", &["model", "detector", "method"]),
    ("run", &["run"]),
];

/// Indices of the columns of a table by role.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    path: Option<usize>,
    id: Option<usize>,
    score: ScoreSource,
    verdict: Option<usize>,
    label: Option<usize>,
    generator: Option<usize>,
    split: Option<usize>,
    model: Option<usize>,
    run: Option<usize>,
    /// The columns by whose cells the report groups the scores.
    report_columns: Vec<(String, usize)>,
}

/// Where the score of a row comes from.
#[derive(Clone, Copy, Debug)]
enum ScoreSource {
    /// One column.
    Column(usize, ScoreColumn),
    /// The logits of the classes real and fake.
    TwoLogits(usize, usize),
}

impl Columns {
    /// Finds the columns. `given` are the names that the user gives to roles, and `report_columns` are those by whose
    /// cells the report groups the scores.
    pub(super) fn find(names: &[String], given: &ColumnNames, report_columns: &[String]) -> Result<Columns, String> {
        let position = |name: &str| names.iter().position(|found| found.trim().eq_ignore_ascii_case(name));
        let found = || names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        for (role, name) in given {
            if !ROLES.iter().any(|(known, _)| known == role) {
                let roles: Vec<&str> = ROLES.iter().map(|(role, _)| *role).collect();
                return Err(format!("there is no role `{role}` for a column; the roles are {}", roles.join(", ")));
            }
            if position(name).is_none() {
                return Err(format!("there is no column `{name}` for the role {role}; the columns are {}", found()));
            }
        }
        // A column has one role: a given one takes it from the names.
        let is_given = |index: usize| given.values().any(|name| position(name) == Some(index));
        let column = |role: &str| match given.get(role) {
            Some(name) => position(name),
            None => {
                let known = ROLES.iter().find(|(known, _)| *known == role).map_or(&[][..], |(_, names)| names);
                known.iter().filter_map(|name| position(name)).find(|index| !is_given(*index))
            }
        };
        let (path, id) = (column("path"), column("id"));
        if path.is_none() && id.is_none() {
            return Err(format!(
                "no column names the images; call one `path` or `id`, or give its name with --column path=NAME; the \
                 columns are {}",
                found()
            ));
        }
        let single = [
            ("score", ScoreColumn::Score),
            ("probability", ScoreColumn::Probability),
            ("logit", ScoreColumn::Logit),
            ("verdict", ScoreColumn::Verdict),
        ];
        // A given score comes before any name. Of the names, logits come first, because they keep the order of scores
        // that round to 0 or 1.
        let of_given = single.iter().find(|(role, _)| given.contains_key(*role));
        let of_names = || {
            let order = [single[2], single[1], single[0], single[3]];
            order.into_iter().find_map(|(role, kind)| Some(ScoreSource::Column(column(role)?, kind)))
        };
        let two_logits = || Some(ScoreSource::TwoLogits(column("logit_real")?, column("logit_fake")?));
        let score = match of_given {
            Some((role, kind)) => column(role).map(|index| ScoreSource::Column(index, *kind)),
            None => two_logits().or_else(of_names),
        };
        let score = score.ok_or_else(|| {
            format!(
                "no column has scores; call one `score`, `p_fake`, `logit` or `verdict`, or give its name with --column \
                 score=NAME; the columns are {}",
                found()
            )
        })?;
        let verdict =
            column("verdict").filter(|index| !matches!(score, ScoreSource::Column(used, _) if used == *index));
        let report_column = |name: &String| match position(name.trim()) {
            Some(index) => Ok((name.trim().to_owned(), index)),
            None => Err(format!("there is no column `{name}` for the report; the columns are {}", found())),
        };
        let report_columns = report_columns.iter().map(report_column).collect::<Result<_, _>>()?;
        Ok(Columns {
            path,
            id,
            score,
            verdict,
            label: column("label"),
            generator: column("generator"),
            split: column("split"),
            model: column("model"),
            run: column("run"),
            report_columns,
        })
    }

    /// Reads a row.
    pub(super) fn row(&self, line: u64, cells: &[Cell]) -> Result<Row, String> {
        let cell = |index: Option<usize>| index.and_then(|index| cells.get(index)).unwrap_or(&Cell::Empty);
        let mut verdict = cell(self.verdict).label()?;
        let (score, column) = match self.score {
            ScoreSource::Column(index, kind) => match cell(Some(index)).class_name() {
                Some(label) => {
                    verdict = Some(label);
                    (f64::from(label.index()), ScoreColumn::Verdict)
                }
                None => (cell(Some(index)).number()?, kind),
            },
            ScoreSource::TwoLogits(real, fake) => {
                (cell(Some(fake)).number()? - cell(Some(real)).number()?, ScoreColumn::Logit)
            }
        };
        let id = cell(self.id).text();
        let hash: Option<Hash> = id.as_deref().filter(|id| id.len() == 64).and_then(|id| id.parse().ok());
        // An id that is not a hash is another name of the image.
        let path = cell(self.path).text().or_else(|| id.filter(|_| hash.is_none()));
        if path.is_none() && hash.is_none() {
            return Err("it names no image".to_owned());
        }
        let text = |index| cell(index).text().map(|text| artifacts::text::visible(&text));
        Ok(Row {
            line,
            path: path.map(|path| artifacts::text::visible(&path)),
            hash,
            score,
            column,
            verdict,
            label: cell(self.label).label()?,
            generator: text(self.generator),
            split: cell(self.split).split()?,
            model: text(self.model),
            run: cell(self.run).run()?,
            report_cells: self
                .report_columns
                .iter()
                .filter_map(|(name, index)| Some((name.clone(), text(Some(*index))?)))
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn read(header: &[&str], given: &[(&str, &str)], cells: &[&str]) -> Result<Row, String> {
        let given = given.iter().map(|(role, name)| ((*role).to_owned(), (*name).to_owned())).collect();
        let cells: Vec<Cell> = cells.iter().map(|cell| Cell::Text((*cell).to_owned())).collect();
        Columns::find(&names(header), &given, &[])?.row(1, &cells)
    }

    #[test]
    fn finds_columns_by_usual_names() {
        let row = read(&["Filename", "P_fake", "y_true"], &[], &["a.jpg", "0.25", "1"]).unwrap();
        assert_eq!((row.path.as_deref(), row.score, row.column), (Some("a.jpg"), 0.25, ScoreColumn::Probability));
        assert_eq!(row.label, Some(artifacts::Label::Fake));
        let row = read(&["img", "logit_0", "logit_1", "pred"], &[], &["a", "1", "-2", "0"]).unwrap();
        assert_eq!((row.score, row.column, row.verdict), (-3.0, ScoreColumn::Logit, None));
        let row = read(&["path", "score", "verdict"], &[], &["a", "3", "fake"]).unwrap();
        assert_eq!((row.column, row.verdict), (ScoreColumn::Score, Some(artifacts::Label::Fake)));
    }

    #[test]
    fn given_names_come_first() {
        let row = read(&["path", "score", "other"], &[("score", "other")], &["a", "0.1", "0.9"]).unwrap();
        assert_eq!(row.score, 0.9);
        let row =
            read(&["name", "label", "p"], &[("probability", "label"), ("path", "name")], &["a", "0.5", ""]).unwrap();
        assert_eq!((row.score, row.label), (0.5, None));
        assert!(read(&["path", "score"], &[("score", "no")], &[]).unwrap_err().contains("the columns are path, score"));
        assert!(read(&["path", "score"], &[("sc", "score")], &[]).unwrap_err().contains("no role `sc`"));
    }

    #[test]
    fn ids_are_hashes_or_names() {
        let hash = Hash::of(b"x").to_string();
        let row = read(&["id", "score"], &[], &[&hash, "0.5"]).unwrap();
        assert_eq!((row.hash, row.path), (Some(Hash::of(b"x")), None));
        let row = read(&["id", "score"], &[], &["00017", "0.5"]).unwrap();
        assert_eq!((row.hash, row.path.as_deref()), (None, Some("00017")));
    }

    #[test]
    fn names_missing_columns() {
        assert!(read(&["score"], &[], &["1"]).unwrap_err().contains("no column names the images"));
        assert!(read(&["path"], &[], &["1"]).unwrap_err().contains("no column has scores"));
        assert!(read(&["path", "score"], &[], &["", "0.5"]).unwrap_err().contains("names no image"));
    }
}
