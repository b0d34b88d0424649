//! Decides which stages of a pipeline run.

use artifacts::progress;
use artifacts::stage::{StagePlan, Warning};

use super::options::is_selected;
use crate::args::{PipelineArgs, StageName};

/// Whether one stage runs, and why.
pub(super) struct Decision<'a> {
    pub(super) plan: &'a StagePlan,
    /// Whether --from and --until include the stage.
    pub(super) selected: bool,
    /// Whether the stage will run. This is a prediction, because the results of earlier stages are not known yet.
    pub(super) runs: bool,
    reason: String,
    /// Whether an earlier stage runs, which may change this stage's inputs.
    inputs_may_change: bool,
}

impl Decision<'_> {
    /// Returns the warnings that apply.
    fn warnings(&self) -> impl Iterator<Item = &Warning> {
        let applies = |warning: &&Warning| self.selected && (!warning.only_if_inputs_change || self.inputs_may_change);
        self.plan.warnings.iter().filter(applies)
    }
}

/// Decides whether each stage runs. A stage also runs if an earlier stage does. If the earlier stage gives the same
/// result as before, the stage program finds its own artifact up to date and does nothing.
pub(super) fn decide<'a>(plans: &'a [StagePlan], args: &PipelineArgs) -> Vec<Decision<'a>> {
    let mut earlier: Option<&str> = None;
    let mut decisions = Vec::new();
    for (stage, plan) in StageName::ALL.into_iter().zip(plans) {
        let selected = is_selected(stage, args);
        let (runs, reason) = match earlier {
            _ if !selected => (false, "left out by --from or --until".to_owned()),
            Some(earlier) if !plan.run || plan.input_error.is_some() => (true, format!("{earlier} runs before it")),
            _ => (plan.run, plan.reason.clone()),
        };
        decisions.push(Decision { plan, selected, runs, reason, inputs_may_change: earlier.is_some() });
        if runs {
            earlier = Some(stage.name());
        }
    }
    decisions
}

/// Prints what each stage would do, for --dry-run.
pub(super) fn print(decisions: &[Decision<'_>]) {
    print_warnings(decisions);
    let first = decisions.iter().position(|decision| decision.selected);
    for (index, Decision { plan, runs, reason, .. }) in decisions.iter().enumerate() {
        // An earlier stage may make the inputs that a later one lacks.
        let lacks_input = plan.input_error.is_some() && first == Some(index);
        let (verb, reason) = match (*runs, plan.obstacles.first()) {
            (true, Some(obstacle)) => ("cannot run", obstacle),
            (true, None) if lacks_input => ("cannot run", reason),
            (true, None) => ("would run", reason),
            (false, _) => ("would not run", reason),
        };
        progress::line(&format!("{:<9} {verb}: {reason}", plan.stage));
        for notice in plan.notices.iter().filter(|_| *runs) {
            progress::line(&format!("          {notice}"));
        }
    }
}

/// Prints the warnings: what the stages would replace, set aside or leave out.
pub(super) fn print_warnings(decisions: &[Decision<'_>]) {
    for warning in decisions.iter().flat_map(Decision::warnings) {
        progress::line(&warning.text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::tests::plans;

    #[test]
    fn stage_runs_if_it_or_an_earlier_one_is_stale() {
        let runs = |own: [bool; 4], rest: &[&str]| -> Vec<bool> {
            decide(&plans(own), &PipelineArgs::of_demo(rest)).iter().map(|decision| decision.runs).collect()
        };
        assert_eq!(runs([false; 4], &[]), [false; 4]);
        assert_eq!(runs([false, true, false, false], &[]), [false, true, true, true]);
        assert_eq!(runs([true; 4], &["--from", "evaluate"]), [false, false, true, true]);
        assert_eq!(runs([false, true, false, true], &["--until", "train"]), [false, true, false, false]);
    }

    #[test]
    fn shows_conditional_warnings_only_if_an_earlier_stage_runs() {
        let shown = |own: [bool; 4], rest: &[&str]| {
            let mut plans = plans(own);
            let warning = |text: &str, only_if_inputs_change| Warning { text: text.to_owned(), only_if_inputs_change };
            plans[1].warnings = vec![warning("certain", false), warning("conditional", true)];
            let decisions = decide(&plans, &PipelineArgs::of_demo(rest));
            let texts = decisions.iter().flat_map(Decision::warnings).map(|warning| warning.text.clone());
            texts.collect::<Vec<_>>()
        };
        assert_eq!(shown([false; 4], &[]), ["certain"]);
        assert_eq!(shown([true, false, false, false], &[]), ["certain", "conditional"]);
        assert_eq!(shown([true, false, false, false], &["--from", "train"]), ["certain"]);
        assert!(shown([true; 4], &["--from", "evaluate"]).is_empty());
    }
}
