//! The reliability diagram: the share of fakes as a function of P(fake).

use artifacts::schema::{ReliabilityBin, RunMetrics};
use maud::{Markup, html};

use crate::figure::{Figure, HoverPoint};
use crate::format_number::{count, score};
use crate::plot::{self, Anchor, Axes, Axis, Colour, Legend, Panel, Stroke, circle, line, rect, text};
use crate::table::Table;

const SIZE: (f64, f64) = (480.0, 452.0);
const PANEL: Panel = Panel { left: 40.0, top: 30.0, width: 424.0, height: 290.0 };
/// The histogram below the diagram.
const COUNTS: Panel = Panel { left: 40.0, top: 372.0, width: 424.0, height: 44.0 };
/// The lines before and after calibration.
const BEFORE: Stroke = Stroke::solid(Colour::Primary, 2.0);
const AFTER: Stroke = Stroke::dashed(Colour::Secondary, 1.6);

/// Draws the diagram of P(fake) before and, if a temperature was fitted, after calibration. Returns `None` if there are
/// no images.
pub(crate) fn draw(run: &RunMetrics) -> Option<Figure> {
    if run.reliability.iter().all(|bin| bin.count == 0) {
        return None;
    }
    let axes = Axes { panel: PANEL, x: Axis::unit(""), y: Axis::unit("Share of fakes") };
    let calibrated = run.fitted.as_ref().map(|fitted| fitted.reliability.as_slice());
    let body = html! {
        (axes.draw())
        (line(axes.at(0.0, 0.0), axes.at(1.0, 1.0), Stroke::dashed(Colour::Axis, 1.0)))
        @if let Some(bins) = calibrated {
            (series(&axes, bins, Colour::Secondary, AFTER))
        }
        (series(&axes, &run.reliability, Colour::Primary, BEFORE))
        (counts(&axes, &run.reliability))
    };
    let name = |calibrated| if calibrated { "calibrated" } else { "uncalibrated" };
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
        name: "reliability".into(),
        title: "Reliability of P(fake)".to_owned(),
        description: describe(run),
        size: SIZE,
        panel: None,
        body,
        legend: legend(run),
        hover,
        numbers,
    })
}

fn legend(run: &RunMetrics) -> Legend {
    let legend = Legend::default().line(BEFORE, "before calibration");
    match &run.fitted {
        Some(fitted) => legend.line(AFTER, format!("after calibration (temperature {:.2})", fitted.temperature)),
        None => legend,
    }
}

fn points<'a>(axes: &'a Axes, bins: &'a [ReliabilityBin]) -> impl Iterator<Item = (f64, f64)> + 'a {
    bins.iter().filter_map(|bin| Some(axes.at(bin.mean_p_fake?, bin.share_fake?)))
}

fn series(axes: &Axes, bins: &[ReliabilityBin], colour: Colour, stroke: Stroke) -> Markup {
    let points: Vec<_> = points(axes, bins).collect();
    html! {
        (plot::curve(&points, stroke))
        @for point in &points { (circle(*point, 4.0, colour)) }
    }
}

fn counts(axes: &Axes, bins: &[ReliabilityBin]) -> Markup {
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1) as f64;
    let x = axes.x_scale();
    html! {
        (text((COUNTS.left, COUNTS.top - 8.0), Anchor::Start, Colour::Text, 12.0, false, "Images in each bin"))
        @for bin in bins {
            @let height = COUNTS.height * bin.count as f64 / most;
            @let left = x.at(bin.lower) + 1.0;
            (rect((left, COUNTS.bottom() - height), (x.at(bin.upper) - left - 1.0, height), Colour::Primary, 0.35))
        }
        (line((COUNTS.left, COUNTS.bottom()), (COUNTS.right(), COUNTS.bottom()), Stroke::solid(Colour::Axis, 1.0)))
        (text(((COUNTS.left + COUNTS.right()) / 2.0, COUNTS.bottom() + 22.0), Anchor::Middle, Colour::Text, 12.0, false,
            "Mean P(fake) of the images in a bin"))
    }
}

fn hover_point(axes: &Axes, bin: &ReliabilityBin, name: &str) -> Option<HoverPoint> {
    let (mean, share) = (bin.mean_p_fake?, bin.share_fake?);
    let tooltip = format!(
        "{name}, bin {:.2} to {:.2}\n{} images\nmean P(fake) {mean:.3}\nshare of fakes {share:.3}",
        bin.lower,
        bin.upper,
        count(bin.count)
    );
    Some(HoverPoint { at: axes.at(mean, share), tooltip })
}

fn describe(run: &RunMetrics) -> String {
    let mut description = format!(
        "Share of fakes as a function of the mean P(fake) in {} bins. On the dashed diagonal, both are equal. Calibration \
         error {}",
        run.reliability.len(),
        score(run.scores.expected_calibration_error)
    );
    if let Some(fitted) = &run.fitted {
        description.push_str(&format!(
            ", and {} after calibration on {} validation images",
            score(fitted.scores.expected_calibration_error),
            count(fitted.fitted_on)
        ));
    }
    description.push('.');
    description
}
