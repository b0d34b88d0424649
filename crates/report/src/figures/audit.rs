//! How well the classes are told apart without looking for traces.

use artifacts::schema::{Association, Audit};
use maud::{Markup, html};

use super::Figure;
use crate::number::score;
use crate::plot::{Anchor, Axes, Axis, Ink, Panel, Stroke, hover_target, line, rect, text};
use crate::table::Table;
use crate::text::visible;

const ROW: f64 = 26.0;
const WIDTH: f64 = 1000.0;
const NAMES: f64 = 250.0;
const TOP: f64 = 26.0;
/// Features beyond these are in the tables only.
const MOST: usize = 12;

/// The probes by the names they are shown under, in the order of what they see.
pub(crate) fn probes(audit: &Audit) -> [(&'static str, &'static str, &artifacts::schema::Probe); 3] {
    [
        (
            "all that the file tells",
            "format, size, compression, EXIF: everything but the pixels",
            &audit.probes.metadata,
        ),
        ("colours alone", "how frequent each of 64 colours is, not where", &audit.probes.colour_histogram),
        ("8 × 8 pixels", "a thumbnail in which no trace survives", &audit.probes.thumbnail),
    ]
}

/// One bar.
struct Row<'a> {
    name: String,
    roc_auc: f64,
    /// Whether it counts as a shortcut.
    shortcut: bool,
    /// Whether it is a probe, which sees many features.
    probe: bool,
    words: &'a str,
}

/// ROC-AUC of the probes and of the strongest features alone, beside the detector's; `None` where there is none.
pub(crate) fn audit(audit: &Audit, detector: Option<f64>) -> Option<Figure> {
    let rows = rows(audit);
    if rows.is_empty() {
        return None;
    }
    let panel = Panel { left: NAMES, top: TOP, width: WIDTH - NAMES - 80.0, height: ROW * rows.len() as f64 };
    let x = Axis::new("ROC-AUC, cross-validated; 0.5 is guessing", [0.5, 1.0], 5);
    let axes = Axes { panel, x, y: Axis::none() };
    let body = html! {
        (axes.draw())
        @for (i, row) in rows.iter().enumerate() { (bar(&axes, panel.top + ROW * (i as f64 + 0.5), row)) }
        @if let Some(detector) = detector { (mark(&axes, detector)) }
    };
    Some(Figure {
        name: "audit",
        title: "Telling the classes apart without looking for traces".to_owned(),
        description: describe(audit, &rows, detector),
        size: (WIDTH, panel.bottom() + 50.0),
        panel: None,
        body,
        hover: Vec::new(),
        numbers: numbers(audit),
    })
}

fn rows(audit: &Audit) -> Vec<Row<'_>> {
    let is_shortcut = |name: &str| audit.shortcuts.iter().any(|shortcut| shortcut.feature == name);
    let keys = ["metadata", "colour histogram", "thumbnail"];
    let of_probes = probes(audit).into_iter().zip(keys).filter_map(|((name, sees, probe), key)| {
        let shortcut = is_shortcut(key);
        Some(Row { name: name.to_owned(), roc_auc: probe.roc_auc?, shortcut, probe: true, words: sees })
    });
    let telling = audit.associations.iter().filter(|feature| feature.bins.len() > 1);
    let of_features = telling.take(MOST).filter_map(|feature| {
        let name = visible(&feature.feature);
        Some(Row {
            name: format!("{name} alone"),
            roc_auc: feature.roc_auc?,
            shortcut: is_shortcut(&feature.feature),
            probe: false,
            words: "one feature of the file",
        })
    });
    of_probes.chain(of_features).collect()
}

fn bar(axes: &Axes, y: f64, row: &Row<'_>) -> Markup {
    const HEIGHT: f64 = 14.0;
    let panel = axes.panel;
    let end = axes.x_scale().at(row.roc_auc.clamp(0.5, 1.0));
    let ink = match row {
        Row { shortcut: true, .. } => Ink::Second,
        Row { probe: true, .. } => Ink::First,
        _ => Ink::Other,
    };
    let verdict = if row.shortcut { "\na shortcut" } else { "" };
    let words = format!("{}\nROC-AUC {}\n{}{verdict}", row.name, score(Some(row.roc_auc)), row.words);
    html! {
        (text((panel.left - 12.0, y + 4.0), Anchor::End, Ink::Text, 12.0, row.probe, &row.name))
        (rect((panel.left, y - HEIGHT / 2.0), ((end - panel.left).max(1.0), HEIGHT), ink, 1.0))
        (text((panel.right() + 14.0, y + 4.0), Anchor::Start, Ink::Text, 12.0, row.shortcut, &score(Some(row.roc_auc))))
        (hover_target((0.0, y - ROW / 2.0), (WIDTH, ROW), &words))
    }
}

fn mark(axes: &Axes, detector: f64) -> Markup {
    let x = axes.x_scale().at(detector.clamp(0.5, 1.0));
    let label = format!("this model {}", score(Some(detector)));
    html! {
        (line((x, axes.panel.top - 6.0), (x, axes.panel.bottom()), Stroke::dashed(Ink::Mark, 1.4)))
        (text((x, axes.panel.top - 12.0), if x > axes.panel.right() - 60.0 { Anchor::End } else { Anchor::Middle },
            Ink::Mark, 12.0, true, &label))
    }
}

fn describe(audit: &Audit, rows: &[Row<'_>], detector: Option<f64>) -> String {
    let strongest = rows.iter().max_by(|a, b| a.roc_auc.total_cmp(&b.roc_auc));
    let strongest = strongest.map(|row| format!(" The strongest is {}: {}.", row.name, score(Some(row.roc_auc))));
    let model = match detector {
        Some(detector) => format!(" The dashed line is this model on the judged split: {}.", score(Some(detector))),
        None => String::new(),
    };
    let shortcuts = if audit.shortcuts.is_empty() { "" } else { " What counts as a shortcut is brown." };
    format!(
        "Small classifiers that cannot see a trace of generation: three that see much, above, and single features of the \
         files.{}{shortcuts}{model}",
        strongest.unwrap_or_default()
    )
}

fn numbers(audit: &Audit) -> Table {
    let mut table = Table::new(&["kind", "name", "roc_auc", "cramers_v", "mutual_information"]);
    for (name, _, probe) in probes(audit) {
        table.push(["probe".into(), name.into(), probe.roc_auc.into(), None.into(), None.into()]);
    }
    for feature in &audit.associations {
        table.push([
            "feature".into(),
            feature.feature.as_str().into(),
            feature.roc_auc.into(),
            feature.cramers_v.into(),
            feature.mutual_information.into(),
        ]);
    }
    table
}

/// The counts behind each association.
pub(crate) fn bins(associations: &[Association]) -> Table {
    let mut table = Table::new(&["feature", "value", "real", "fake"]);
    for feature in associations {
        for bin in &feature.bins {
            table.push([feature.feature.as_str().into(), bin.value.as_str().into(), bin.real.into(), bin.fake.into()]);
        }
    }
    table
}

/// The pairs of near-duplicates.
pub(crate) fn near_duplicates(audit: &Audit) -> Table {
    let mut table =
        Table::new(&["first", "first_split", "second", "second_split", "similarity", "mirrored", "labels_differ"]);
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.into();
    for pair in &audit.near_duplicates.pairs {
        let [first, second] = &pair.paths;
        let [first_split, second_split] = pair.splits.map(|split| split.name());
        table.push([
            first.as_str().into(),
            first_split.into(),
            second.as_str().into(),
            second_split.into(),
            f64::from(pair.similarity).into(),
            yes_no(pair.flipped),
            yes_no(pair.labels_differ),
        ]);
    }
    table
}
