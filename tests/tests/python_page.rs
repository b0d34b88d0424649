//! The code of docs/python.md runs, and torchvision agrees with the scores of the run.

use std::path::Path;
use std::process::Command;

use pipeline_tests::{Sandbox, output_of};

/// Returns the blocks of code in a language, in their order.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line == format!("```{language}") {
            blocks.push(lines.by_ref().take_while(|line| *line != "```").collect::<Vec<_>>().join("\n"));
        }
    }
    blocks
}

#[test]
fn code_of_the_page_runs_after_a_pipeline() {
    let Some(python) = testing::peer_python() else { return };
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/python.md")).unwrap();
    let code = blocks(&page, "python");
    assert!(code.len() >= 5, "{code:?}");
    let sandbox = Sandbox::new();
    let run = sandbox.run("runs/demo");
    sandbox.pipeline_into(&run, &["--until", "evaluate"]).expect_code(0);
    let mut peer = Command::new(python);
    peer.current_dir(run.path().join("../..")).env("HF_DATASETS_CACHE", sandbox.path().join("cache"));
    let output = output_of(peer.arg("-c").arg(code.join("\n"))).expect_code(0);
    assert!(output.stdout.contains("ROC-AUC 0.") && output.stdout.contains("largest difference"), "{}", output.stdout);
}
