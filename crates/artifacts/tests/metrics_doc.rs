//! Checks that the tables of metrics in `docs/metrics.md` match the code. With `CANDLING_WRITE_DOCS=1`, rewrites them.

use std::fmt::Write;
use std::path::Path;

use artifacts::schema::{Basis, Direction, GroupInterval, IntervalMethod, METRICS, Metric, Needs};

const BEGIN: &str = "<!-- Generated from crates/artifacts/src/schema/scores.rs: begin -->\n";
const END: &str = "<!-- Generated: end -->\n";

#[test]
fn docs_metrics_md_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let committed = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = committed.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let generated = format!("{before}{BEGIN}{}{END}{after}", tables());
    if std::env::var_os("CANDLING_WRITE_DOCS").is_some() {
        std::fs::write(&path, generated).unwrap();
    } else {
        assert!(
            committed == generated,
            "docs/metrics.md is out of date; run `CANDLING_WRITE_DOCS=1 cargo test --release --workspace --test integration metrics_doc`"
        );
    }
}

fn tables() -> String {
    let mut text = String::from(
        "\n| key | meaning | definition | range | better | null |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for metric in METRICS {
        let (better, null) = (better(metric), null(metric.needs));
        let row = [&format!("`{}`", metric.key), metric.meaning, metric.definition, &range(metric), better, null];
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text.push_str("\n| key | depends on | 95% interval | interval in groups |\n| --- | --- | --- | --- |\n");
    for metric in METRICS {
        let row = [&format!("`{}`", metric.key), basis(metric.basis), &interval(metric), group_interval(metric)];
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text.push('\n');
    text
}

fn range(metric: &Metric) -> String {
    let (low, high) = metric.range;
    if high.is_infinite() { format!("{low} and above") } else { format!("{low} to {high}") }
}

fn better(metric: &Metric) -> &'static str {
    match metric.better {
        Direction::Higher => "higher",
        Direction::Lower => "lower",
    }
}

fn null(needs: Needs) -> &'static str {
    match needs {
        Needs::Images => "without images",
        Needs::Reals => "without real images",
        Needs::Fakes => "without fakes",
        Needs::BothClasses => "without images of both classes",
        Needs::CalledFake => "if no image is called fake",
        Needs::FakesOrCalledFake => "without fakes if no image is called fake",
    }
}

fn basis(basis: Basis) -> &'static str {
    match basis {
        Basis::Proportion(_) | Basis::Confusion(_) => "threshold",
        Basis::Ranking => "order of the scores",
        Basis::Confidence => "verdicts at 0.5, order of their confidences",
        Basis::Probabilities => "values of P(fake)",
    }
}

fn interval(metric: &Metric) -> String {
    match (metric.interval, metric.basis) {
        (IntervalMethod::Bootstrap, Basis::Proportion(_)) => "bootstrap, or Wilson's if all resamples agree".to_owned(),
        (IntervalMethod::Bootstrap, _) => "bootstrap, none if all resamples agree".to_owned(),
        (IntervalMethod::AtFalsePositiveRate(rate), _) => format!(
            "bootstrap, none below {} real images or if all resamples agree",
            (IntervalMethod::MIN_FALSE_POSITIVES / rate).round()
        ),
        (IntervalMethod::Omitted(reason), _) => format!("none: {reason}"),
    }
}

fn group_interval(metric: &Metric) -> &'static str {
    match metric.group_interval {
        GroupInterval::None => "none",
        GroupInterval::DeLong => "DeLong's, on the logit scale",
        GroupInterval::Wilson => "Wilson's",
    }
}
