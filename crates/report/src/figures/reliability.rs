//! The reliability diagram: whether images called fake with 80% are fake in 80 of 100 cases.

use artifacts::schema::{ReliabilityBin, RunMetrics};
use maud::{Markup, html};

use super::{Figure, HoverPoint};
use crate::number::{count, score};
use crate::plot::{self, Anchor, Axes, Axis, Ink, Panel, Stroke, circle, line, rect, text};
use crate::table::Table;

const SIZE: (f64, f64) = (480.0, 452.0);
const PANEL: Panel = Panel { left: 40.0, top: 30.0, width: 424.0, height: 290.0 };
/// The counts under the diagram.
const COUNTS: Panel = Panel { left: 40.0, top: 372.0, width: 424.0, height: 44.0 };

/// The diagram of P(fake) as the network gives it and, where validation fitted a temperature, calibrated.
pub(crate) fn reliability(run: &RunMetrics) -> Option<Figure> {
    if run.reliability.iter().all(|bin| bin.count == 0) {
        return None;
    }
    let axes = Axes { panel: PANEL, x: Axis::unit(""), y: Axis::unit("Share of fakes among them") };
    let calibrated = run.fitted.as_ref().map(|fitted| fitted.reliability.as_slice());
    let body = html! {
        (axes.draw())
        (line(axes.at(0.0, 0.0), axes.at(1.0, 1.0), Stroke::dashed(Ink::Axis, 1.0)))
        @if let Some(bins) = calibrated {
            (series(&axes, bins, Ink::Second, Stroke::dashed(Ink::Second, 1.6)))
        }
        (series(&axes, &run.reliability, Ink::First, Stroke::solid(Ink::First, 2.0)))
        (text((PANEL.left + 12.0, PANEL.top + 16.0), Anchor::Start, Ink::First, 12.0, true, "as the network gives it"))
        @if let Some(fitted) = &run.fitted {
            (text((PANEL.left + 12.0, PANEL.top + 33.0), Anchor::Start, Ink::Second, 12.0, true,
                &format!("calibrated, temperature {:.2}", fitted.temperature)))
        }
        (counts(&axes, &run.reliability))
    };
    let name = |calibrated| if calibrated { "calibrated" } else { "as given" };
    let both = [(false, Some(run.reliability.as_slice())), (true, calibrated)];
    let mut numbers = Table::new(&["p_fake", "bin_from", "bin_to", "images", "mean_p_fake", "share_fake"]);
    let mut hover = Vec::new();
    for (is_calibrated, bins) in both {
        for bin in bins.unwrap_or_default() {
            numbers.push([
                name(is_calibrated).into(),
                bin.lower.into(),
                bin.upper.into(),
                bin.count.into(),
                bin.mean_p_fake.into(),
                bin.share_fake.into(),
            ]);
            hover.extend(hover_point(&axes, bin, name(is_calibrated)));
        }
    }
    Some(Figure {
        name: "reliability",
        title: "Reliability of P(fake)".to_owned(),
        description: describe(run),
        size: SIZE,
        panel: None,
        body,
        hover,
        numbers,
    })
}

fn points<'a>(axes: &'a Axes, bins: &'a [ReliabilityBin]) -> impl Iterator<Item = (f64, f64)> + 'a {
    bins.iter().filter_map(|bin| Some(axes.at(bin.mean_p_fake?, bin.share_fake?)))
}

fn series(axes: &Axes, bins: &[ReliabilityBin], ink: Ink, stroke: Stroke) -> Markup {
    let points: Vec<_> = points(axes, bins).collect();
    html! {
        (plot::curve(&points, stroke))
        @for point in &points { (circle(*point, 4.0, ink)) }
    }
}

fn counts(axes: &Axes, bins: &[ReliabilityBin]) -> Markup {
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1) as f64;
    let x = axes.x_scale();
    html! {
        (text((COUNTS.left, COUNTS.top - 8.0), Anchor::Start, Ink::Text, 12.0, false, "Images in each bin"))
        @for bin in bins {
            @let height = COUNTS.height * bin.count as f64 / most;
            @let left = x.at(bin.lower) + 1.0;
            (rect((left, COUNTS.bottom() - height), (x.at(bin.upper) - left - 1.0, height), Ink::First, 0.35))
        }
        (line((COUNTS.left, COUNTS.bottom()), (COUNTS.right(), COUNTS.bottom()), Stroke::solid(Ink::Axis, 1.0)))
        (text(((COUNTS.left + COUNTS.right()) / 2.0, COUNTS.bottom() + 22.0), Anchor::Middle, Ink::Text, 12.0, false,
            "Mean P(fake) of the images in a bin"))
    }
}

fn hover_point(axes: &Axes, bin: &ReliabilityBin, name: &str) -> Option<HoverPoint> {
    let (mean, share) = (bin.mean_p_fake?, bin.share_fake?);
    let words = format!(
        "{name}, bin {:.2} to {:.2}\n{} images\nmean P(fake) {mean:.3}\nshare of fakes {share:.3}",
        bin.lower,
        bin.upper,
        count(bin.count)
    );
    Some(HoverPoint { at: axes.at(mean, share), words })
}

fn describe(run: &RunMetrics) -> String {
    let mut words = format!(
        "Share of fakes against mean P(fake) in {} bins; on the diagonal P(fake) is a probability. Calibration error {}",
        run.reliability.len(),
        score(run.scores.expected_calibration_error)
    );
    if let Some(fitted) = &run.fitted {
        words.push_str(&format!(
            ", and {} after a temperature fitted on {} validation images",
            score(fitted.scores.expected_calibration_error),
            count(fitted.fitted_on)
        ));
    }
    words.push('.');
    words
}
