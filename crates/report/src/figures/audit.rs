//! A bar chart of how well the audit's probes and single file features separate the classes.

use artifacts::schema::Audit;
use maud::{Markup, html};

use crate::escape::shortened;
use crate::figure::Figure;
use crate::format_number::score;
use crate::plot::{Anchor, Axes, Axis, Colour, Legend, Panel, Stroke, hover_target, line, rect, text};
use crate::probes::probes;
use crate::table::Table;

const ROW_HEIGHT: f64 = 26.0;
const WIDTH: f64 = 1000.0;
const NAME_WIDTH: f64 = 250.0;
/// The maximum length of a feature's name, which must fit beside the chart. The tables have the full name.
const MAX_NAME_CHARS: usize = 25;
const TOP: f64 = 26.0;
/// The maximum number of single features in the figure. The others are in the tables only.
const MAX_FEATURES: usize = 12;
/// The ROC-AUC of a classifier that guesses. Bars start here.
const CHANCE: f64 = 0.5;

/// A bar of the chart.
struct Bar<'a> {
    name: String,
    roc_auc: f64,
    /// Whether the audit reports a shortcut here.
    is_shortcut: bool,
    /// Whether the bar shows a probe, which has many inputs, rather than a single feature.
    is_probe: bool,
    /// A description of the classifier's input.
    input: &'a str,
}

/// Draws the ROC-AUC of the probes and of the strongest single features, with that of the detector. Returns `None` if
/// no ROC-AUC is defined.
pub(crate) fn draw(audit: &Audit, detector: Option<f64>) -> Option<Figure> {
    let bars = bars(audit);
    if bars.is_empty() {
        return None;
    }
    let panel =
        Panel { left: NAME_WIDTH, top: TOP, width: WIDTH - NAME_WIDTH - 80.0, height: ROW_HEIGHT * bars.len() as f64 };
    let x = Axis::new("ROC-AUC, cross-validated; 0.5 is chance", [axis_minimum(&bars, detector), 1.0], 5);
    let axes = Axes { panel, x, y: Axis::none() };
    let chance = axes.x_scale().at(CHANCE);
    let body = html! {
        (axes.draw())
        (line((chance, panel.top), (chance, panel.bottom()), Stroke::solid(Colour::Axis, 1.0)))
        @for (i, bar) in bars.iter().enumerate() { (draw_bar(&axes, panel.top + ROW_HEIGHT * (i as f64 + 0.5), bar)) }
        @if let Some(detector) = detector { (detector_line(&axes, detector)) }
    };
    Some(Figure {
        name: "audit".into(),
        title: "Separating the classes without looking for traces".to_owned(),
        description: describe(audit, &bars, detector),
        size: (WIDTH, panel.bottom() + 50.0),
        panel: None,
        body,
        legend: Legend::default(),
        hover: Vec::new(),
        numbers: numbers(audit),
    })
}

fn bars(audit: &Audit) -> Vec<Bar<'_>> {
    let is_shortcut = |name: &str| audit.shortcuts.iter().any(|shortcut| shortcut.feature == name);
    let of_probes = probes(audit).into_iter().filter_map(|probe| {
        Some(Bar {
            name: probe.name.to_owned(),
            roc_auc: probe.result.roc_auc?,
            is_shortcut: is_shortcut(probe.key),
            is_probe: true,
            input: probe.input,
        })
    });
    let varying = audit.associations.iter().filter(|feature| feature.bins.len() > 1);
    let of_features = varying.take(MAX_FEATURES).filter_map(|feature| {
        Some(Bar {
            name: format!("{} alone", shortened(&feature.feature, MAX_NAME_CHARS)),
            roc_auc: feature.roc_auc?,
            is_shortcut: is_shortcut(&feature.feature),
            is_probe: false,
            input: "a single feature of the file",
        })
    });
    of_probes.chain(of_features).collect()
}

/// Returns the lower end of the axis: 0.5, or a smaller multiple of 0.1 if a value is below chance.
fn axis_minimum(bars: &[Bar<'_>], detector: Option<f64>) -> f64 {
    let lowest = bars.iter().map(|bar| bar.roc_auc).chain(detector).fold(CHANCE, f64::min);
    (lowest * 10.0).floor() / 10.0
}

fn draw_bar(axes: &Axes, y: f64, bar: &Bar<'_>) -> Markup {
    const HEIGHT: f64 = 14.0;
    let panel = axes.panel;
    let (chance, end) = (axes.x_scale().at(CHANCE), axes.x_scale().at(bar.roc_auc));
    let colour = match bar {
        Bar { is_shortcut: true, .. } => Colour::Secondary,
        Bar { is_probe: true, .. } => Colour::Primary,
        _ => Colour::Faint,
    };
    let number = score(Some(bar.roc_auc));
    let verdict = if bar.is_shortcut { "\na shortcut" } else { "" };
    let tooltip = format!("{}\nROC-AUC {number}\n{}{verdict}", bar.name, bar.input);
    html! {
        (text((panel.left - 12.0, y + 4.0), Anchor::End, Colour::Text, 12.0, bar.is_probe, &bar.name))
        (rect((chance.min(end), y - HEIGHT / 2.0), ((end - chance).abs().max(1.0), HEIGHT), colour, 1.0))
        (text((panel.right() + 14.0, y + 4.0), Anchor::Start, Colour::Text, 12.0, bar.is_shortcut, &number))
        (hover_target((0.0, y - ROW_HEIGHT / 2.0), (WIDTH, ROW_HEIGHT), &tooltip))
    }
}

fn detector_line(axes: &Axes, detector: f64) -> Markup {
    let x = axes.x_scale().at(detector);
    let label = format!("this model {}", score(Some(detector)));
    html! {
        (line((x, axes.panel.top - 6.0), (x, axes.panel.bottom()), Stroke::dashed(Colour::Marker, 1.4)))
        (text((x, axes.panel.top - 12.0), if x > axes.panel.right() - 60.0 { Anchor::End } else { Anchor::Middle },
            Colour::Marker, 12.0, true, &label))
    }
}

fn describe(audit: &Audit, bars: &[Bar<'_>], detector: Option<f64>) -> String {
    let mut description =
        "ROC-AUC of small classifiers that cannot see traces of generation: three with many inputs at the \
                           top, and below them single features of the files."
            .to_owned();
    if let Some(strongest) = bars.iter().max_by(|a, b| a.roc_auc.total_cmp(&b.roc_auc)) {
        description.push_str(&format!(" The highest is {}: {}.", strongest.name, score(Some(strongest.roc_auc))));
    }
    if !audit.shortcuts.is_empty() {
        description.push_str(" Shortcuts are brown.");
    }
    if let Some(detector) = detector {
        description.push_str(&format!(
            " The dashed line is the ROC-AUC of this model on the evaluated split: {}.",
            score(Some(detector))
        ));
    }
    description
}

fn numbers(audit: &Audit) -> Table {
    let mut table = Table::new(&["kind", "name", "roc_auc", "cramers_v", "mutual_information"]);
    for probe in probes(audit) {
        table.push(["probe".into(), probe.name.into(), probe.result.roc_auc.into(), None.into(), None.into()]);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axis_includes_scores_below_chance() {
        let bar = |roc_auc| Bar { name: String::new(), roc_auc, is_shortcut: false, is_probe: true, input: "" };
        assert_eq!(axis_minimum(&[bar(0.7)], Some(0.9)), 0.5);
        assert_eq!(axis_minimum(&[bar(0.7)], Some(0.426)), 0.4);
        assert_eq!(axis_minimum(&[bar(0.38)], None), 0.3);
    }
}
