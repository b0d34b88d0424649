//! Tests of the files that `candling-report` writes, and of its errors.

use std::path::Path;

use artifacts::schema::Robustness;
use artifacts::{Manifest, RunDir, names};

use crate::support;
use crate::support::fixture::{self, RunSpec};

fn rendered(spec: RunSpec, overrides: &[&str]) -> (tempfile::TempDir, RunDir) {
    let dir = tempfile::tempdir().unwrap();
    let run = fixture::write(&dir.path().join("fixture"), spec);
    support::render(&run, overrides);
    (dir, run)
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Removes the embedded images from a page, because base64 can contain any short text by chance.
fn without_images(page: &str) -> String {
    let mut parts = page.split("data:image/");
    let first = parts.next().unwrap().to_owned();
    first + &parts.map(|part| part.split_once('"').unwrap().1).collect::<String>()
}

#[test]
fn writes_all_files_and_lists_them_in_the_manifest() {
    let (_dir, run) = rendered(RunSpec::default(), &[]);
    let manifest = Manifest::require(&run.report(), names::REPORT).unwrap();
    for name in manifest.outputs.keys() {
        manifest.verify(&run.report(), name).unwrap();
    }
    for name in [
        "index.html",
        "README.md",
        "figures/roc.svg",
        "figures/roc.csv",
        "figures/robustness.svg",
        "figures/errors.csv",
        "figures/roc.png",
        "figures/audit.png",
        "figures/audit-bins.csv",
        "figures/near-duplicates.csv",
        "figures/flips.csv",
    ] {
        assert!(manifest.outputs.contains_key(name), "{name}");
    }
    assert!(manifest.inputs.contains_key("train/run-2") && manifest.inputs.contains_key("evaluate-others"));
}

#[test]
fn skips_an_up_to_date_report() {
    let (_dir, run) = rendered(RunSpec::default(), &[]);
    let stderr = support::run_program(&run, &[]).stderr;
    assert!(String::from_utf8_lossy(&stderr).contains("up to date"), "{}", String::from_utf8_lossy(&stderr));
    let stderr = support::run_program(&run, &["report.correct=3"]).stderr;
    assert!(!String::from_utf8_lossy(&stderr).contains("up to date"));
}

#[test]
fn svg_figures_are_well_formed_and_reference_no_files() {
    let (_dir, run) = rendered(RunSpec::default(), &[]);
    let figures: Vec<_> =
        files(&run.report().join("figures")).into_iter().filter(|p| p.extension().unwrap() == "svg").collect();
    assert!(figures.len() >= 10, "{figures:?}");
    for path in figures {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut open = Vec::new();
        for tag in text.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
            match tag.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name), "{}", path.display()),
                None if tag.starts_with('?') => {}
                None => open.push(tag.split([' ', '\n']).next().unwrap()),
            }
        }
        assert!(open.is_empty(), "{}: {open:?}", path.display());
        assert!(!text.contains("href") && !text.contains("NaN") && !text.contains("<script"), "{}", path.display());
    }
}

#[test]
fn every_figure_is_also_written_as_png() {
    let (_dir, run) = rendered(RunSpec::default(), &[]);
    let of_kind = |kind: &str| -> Vec<_> {
        let files = files(&run.report().join("figures")).into_iter();
        files.filter(|path| path.extension().is_some_and(|found| found == kind)).collect()
    };
    let stems = |paths: &[std::path::PathBuf]| -> Vec<String> {
        paths.iter().map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
    };
    let (drawings, images) = (of_kind("svg"), of_kind("png"));
    assert_eq!(stems(&drawings), stems(&images));
    for path in images {
        let image = image::open(&path).unwrap().into_luma8();
        let dark = image.pixels().filter(|pixel| pixel.0[0] < 100).count();
        assert!(image.width() >= 900 && dark > 2_000, "{}: {dark} dark pixels", path.display());
        assert_eq!(image.get_pixel(0, 0).0[0], 255, "{}: white background", path.display());
    }
}

#[test]
fn shows_the_audit_and_repeats_its_warning_in_the_summary() {
    let (_dir, run) = rendered(RunSpec::default(), &[]);
    let page = without_images(&support::read(&run, "index.html"));
    let summary = page.split("id=\"results\"").next().unwrap();
    assert!(
        summary.contains("Do not trust these scores yet: the file size of a file gives its class away"),
        "{summary}"
    );
    assert!(summary.contains("reaches a ROC-AUC of 0.810") && summary.contains("also warns about format"), "{summary}");
    let audit = page.split("id=\"audit\"").nth(1).unwrap().split("</section>").next().unwrap();
    for part in [
        "Warning.",
        "fakes are &lt;b&gt;PNG&lt;/b&gt; more often",
        "file properties",
        "file size 72.0%; format 28.0%",
        "none: no feature varies",
        "over 20000 to 90000",
        "The same for all images: progressive JPEG.",
        "2 pairs",
        "2 test images have a near-duplicate in the training or validation split. 1 validation image has one in the training split.",
        "different labels",
        "Files left out: 7 with a copy in the same split, 5 with a copy in another split, and 2 whose copies have different labels",
        "In the source, 3 test images are also in the training or validation split.",
        "A file without such a declaration can still be a fake",
    ] {
        assert!(audit.contains(part), "{part}: {audit}");
    }
    assert_eq!(audit.matches("<img").count(), 4, "the images of both pairs");
    let card = support::read(&run, "README.md");
    assert!(card.contains("**Do not trust these scores yet: the file size"), "{card}");
    let pairs = support::read(&run, "figures/near-duplicates.csv");
    assert_eq!(pairs.lines().count(), 3, "{pairs}");
}

#[test]
fn an_audit_without_shortcuts_passes_without_a_warning() {
    let (_dir, run) = rendered(RunSpec { clean: true, ..RunSpec::default() }, &[]);
    let page = without_images(&support::read(&run, "index.html"));
    assert!(
        page.contains("<strong>Pass.</strong>")
            && page.contains("None were found. The search covers images that differ only in")
    );
    assert!(!page.contains("Do not trust these scores yet"));
    assert!(!support::read(&run, "README.md").contains("Do not trust these scores yet"));
}

#[test]
fn an_audit_of_few_images_is_inconclusive_on_the_page_and_in_the_card() {
    let (_dir, run) = rendered(RunSpec { clean: true, few: true, ..RunSpec::default() }, &[]);
    let page = without_images(&support::read(&run, "index.html"));
    let why = "10 images are too few to exclude shortcuts";
    assert!(page.contains(&format!("<strong>Inconclusive.</strong> The audit found no shortcut, but {why}")), "{page}");
    assert!(page.contains(&format!("the audit of the data is inconclusive: {why}")) && !page.contains("Pass."));
    assert!(support::read(&run, "README.md").contains(why));
}

#[test]
fn a_training_on_reconstructions_is_named_on_the_page_and_in_the_card() {
    const DESCRIBED: &str =
        "the fakes of training are reconstructions of its photographs; none is an image of a generator";
    for reconstructed in [true, false] {
        let (_dir, run) = rendered(RunSpec { reconstructed, ..RunSpec::default() }, &[]);
        let (page, card) = (without_images(&support::read(&run, "index.html")), support::read(&run, "README.md"));
        // Among the limits, and among the properties of the data.
        assert_eq!(page.matches(DESCRIBED).count(), if reconstructed { 2 } else { 0 });
        assert_eq!(card.contains(&format!("Pseudo-fakes: {DESCRIBED}")), reconstructed, "{card}");
    }
}

#[test]
fn lists_near_duplicates_without_images_if_the_shards_are_missing() {
    let dir = tempfile::tempdir().unwrap();
    let run = fixture::write(&dir.path().join("fixture"), RunSpec::default());
    for path in files(&run.ingest()).into_iter().filter(|path| path.extension().is_some_and(|e| e == "parquet")) {
        std::fs::remove_file(path).unwrap();
    }
    support::render(&run, &[]);
    let page = support::read(&run, "index.html");
    assert!(page.contains("the shards that contain them are missing"));
    assert!(support::read(&run, "figures/near-duplicates.csv").contains("train/real/00007.jpg"));
}

#[test]
fn warns_if_the_run_was_trained_again_after_the_evaluation() {
    let retrained = "the run was trained again after th";
    let (_dir, run) = rendered(RunSpec::default(), &[]);
    let page = || std::fs::read_to_string(run.report().join("index.html")).unwrap();
    assert!(!page().contains(retrained));
    for k in 0..run.complete_train_runs().len() {
        fixture::write_training(&run.train_run(k), 10 + k);
    }
    support::render(&run, &[]);
    let page = page();
    assert!(page.contains("These scores belong to an earlier model: the run was trained again after the evaluation."));
    assert!(page.matches(retrained).count() >= 2, "other evaluations are marked too");
}

#[test]
fn warns_if_one_of_several_runs_was_trained_again() {
    let (_dir, run) = rendered(RunSpec::default(), &[]);
    std::fs::remove_dir_all(run.train_run(1)).unwrap();
    fixture::write_training(&run.train_run(1), 10);
    support::render(&run, &[]);
    let page = support::read(&run, "index.html");
    assert!(
        page.contains("The mean over the runs includes earlier models: run 1 was trained again after the evaluation.")
    );
    assert!(!page.contains("scores of an earlier model"), "the scores on other data are those of run 0");
}

/// Updates the entry of a file in the manifest of the evaluation.
fn update_manifest(run: &RunDir, name: &str) {
    let path = run.evaluate().join(name);
    let mut manifest = Manifest::require(&run.evaluate(), names::EVALUATE).unwrap();
    let listed = manifest.outputs.get_mut(name).unwrap();
    listed.blake3 = artifacts::hash::file(&path).unwrap();
    listed.bytes = std::fs::metadata(&path).unwrap().len();
    manifest.write(&run.evaluate()).unwrap();
}

#[test]
fn rejects_files_of_a_later_schema_version() {
    for name in [names::METRICS, Robustness::FILE, "explanations/index.json"] {
        let dir = tempfile::tempdir().unwrap();
        let run = fixture::write(&dir.path().join("fixture"), RunSpec::default());
        let path = run.evaluate().join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen("\"schema_version\": 1", "\"schema_version\": 2", 1)).unwrap();
        update_manifest(&run, name);
        let output = support::run_program(&run, &[]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        assert!(stderr.contains(name) && stderr.contains("schema version 2"), "{stderr}");
    }
}

#[test]
fn lists_verdicts_that_change() {
    let (_dir, run) = rendered(RunSpec::default(), &[]);
    let page = without_images(&support::read(&run, "index.html"));
    assert!(page.contains("Changed verdicts") && page.contains("JPEG 60, 30; blur 2"));
    let flips = support::read(&run, "figures/flips.csv");
    let rows = flips.lines().filter(|line| line.contains(",blur,2,")).count();
    assert!(rows > 3 && flips.lines().count() == 3 * rows + 1, "{flips}");
}

#[test]
fn shows_published_results_for_the_same_data_set_only() {
    let published = |dataset: &str| {
        format!(
            "report.published={{dataset = \"{dataset}\", name = \"the baseline\", accuracy = 0.85, roc_auc = 0.96}}"
        )
    };
    let (_dir, run) = rendered(RunSpec::default(), &[&published(fixture::SOURCE)]);
    let page = support::read(&run, "index.html");
    assert!(page.contains("the baseline") && page.contains("not published"));
    let (_dir, run) = rendered(RunSpec::default(), &[&published("kaggle:another/set")]);
    assert!(!support::read(&run, "index.html").contains("the baseline"));
}

#[test]
fn shows_how_many_verdicts_are_wrong_at_each_coverage() {
    let (_dir, run) = rendered(RunSpec::default(), &[]);
    let page = without_images(&support::read(&run, "index.html"));
    let section = page.split("id=\"reliability\"").nth(1).unwrap().split("</section>").next().unwrap();
    for part in ["id=\"figure-risk-coverage\"", "Coverage at 5% wrong", "3.3% ", "[1.8%, 5.9%]", "least certain"] {
        assert!(section.contains(part), "{part}: {section}");
    }
    let generators = page.split("id=\"generators\"").nth(1).unwrap().split("</section>").next().unwrap();
    assert!(generators.contains("Wrong verdicts") && generators.contains("[3.1%, 9.5%]"), "{generators}");
    let rows = support::read(&run, "figures/risk-coverage.csv");
    assert_eq!(rows.lines().count(), 3 * RunSpec::default().images + 1, "a row for each point of each run");
}

#[test]
fn omits_risk_coverage_of_an_earlier_evaluation() {
    let dir = tempfile::tempdir().unwrap();
    let run = fixture::write(&dir.path().join("fixture"), RunSpec::default());
    let path = run.evaluate().join(names::METRICS);
    let mut metrics: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let added = [
        "risk_coverage_area",
        "coverage_at_5_wrong",
        "risk_coverage",
        "risk_coverage_band",
        "wrong",
        "wrong_interval",
        "fitted_verdicts",
    ];
    remove_keys(&mut metrics, &added);
    std::fs::write(&path, serde_json::to_vec(&metrics).unwrap()).unwrap();
    update_manifest(&run, names::METRICS);
    support::render(&run, &[]);
    let page = support::read(&run, "index.html");
    assert!(!page.contains("risk-coverage") && !page.contains("Wrong verdicts"));
    assert!(!run.report().join("figures/risk-coverage.svg").exists());
}

fn remove_keys(value: &mut serde_json::Value, keys: &[&str]) {
    match value {
        serde_json::Value::Object(map) => {
            map.retain(|key, _| !keys.contains(&key.as_str()));
            map.values_mut().for_each(|value| remove_keys(value, keys));
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(|value| remove_keys(value, keys)),
        _ => {}
    }
}

#[test]
fn marks_simulated_data_in_page_card_and_figures() {
    let (_dir, run) = rendered(RunSpec { simulated: true, ..RunSpec::default() }, &[]);
    let page = support::read(&run, "index.html");
    assert!(page.contains("simulated data") && page.contains("simulated images of the test split"));
    let card = support::read(&run, "README.md");
    assert!(card.contains("- simulated-data\n") && card.contains("a-line (simulated)"), "{card}");
    assert!(support::read(&run, "figures/roc.svg").contains(">simulated data<"));
    let (_dir, run) = rendered(RunSpec::default(), &[]);
    assert!(!support::read(&run, "index.html").contains("simulated data"));
    assert!(!support::read(&run, "figures/roc.svg").contains("simulated data"));
}

#[test]
fn shows_undefined_scores_as_a_dash_with_the_reason() {
    let (_dir, run) = rendered(RunSpec { fakes: false, ..RunSpec::default() }, &[]);
    let page = support::read(&run, "index.html");
    assert!(page.contains("ROC-AUC is undefined: it needs images of both classes"));
    assert!(!without_images(&page).contains("NaN"));
    assert!(!page.contains("id=\"figure-roc\""), "a curve without points is not drawn");
    let card = support::read(&run, "README.md");
    assert!(card.contains("| ROC-AUC | – |") && !card.contains("NaN"), "{card}");
}

#[test]
fn escapes_hostile_file_names_in_every_file() {
    let (_dir, run) = rendered(RunSpec::default(), &[]);
    let page = support::read(&run, "index.html");
    assert!(
        !page.contains("<script>alert")
            && !page.contains("<img src=x")
            && !page.contains('\u{1b}')
            && !page.contains('\u{202e}')
    );
    let errors = support::read(&run, "figures/generators.csv");
    assert!(errors.contains("</script><img src=x onerror=alert(2)>"));
    for path in files(&run.report().join("figures")).into_iter().filter(|p| p.extension().unwrap() == "csv") {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.lines().flat_map(|line| line.split(',')).all(|cell| !cell.starts_with(['=', '+', '@'])),
            "{}",
            path.display()
        );
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{}", path.display());
    }
}

#[test]
fn shows_scores_by_the_cells_of_a_column() {
    let (_dir, run) = rendered(RunSpec::default(), &[]);
    let page = support::read(&run, "index.html");
    let column = "camera &lt;b onload=alert(3)&gt;";
    assert!(page.contains(&format!("Scores by {column} at threshold 0.5")), "the column has a table");
    assert!(page.contains("id=\"figure-column-1\""));
    assert!(support::read(&run, "figures/column-1.csv").contains("stylegan2"));
    assert!(!page.contains("<b onload"));
}

#[test]
fn escapes_the_title_in_the_model_card() {
    let (_dir, run) = rendered(RunSpec::default(), &["report.title=\"a: \\\"b\\\"\\n---\\n# <i>\""]);
    let card = support::read(&run, "README.md");
    assert_eq!(card.lines().filter(|line| *line == "---").count(), 2, "{card}");
    assert!(card.contains("\\<i\\>") && card.contains("base_model: \"timm/resnet50.tv_in1k\""), "{card}");
}

#[test]
fn rejects_a_missing_or_damaged_evaluation_with_advice() {
    let (_dir, run) = rendered(RunSpec::default(), &[]);
    std::fs::write(run.evaluate().join(names::METRICS), "{}").unwrap();
    let output = support::run_program(&run, &["report.correct=5"]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("metrics.json") && stderr.contains("cargo xtask evaluate --force"), "{stderr}");
    assert!(run.report().join("index.html").exists(), "the previous report is kept");

    std::fs::remove_dir_all(run.evaluate()).unwrap();
    let output = support::run_program(&run, &[]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("run `cargo xtask evaluate` first"), "{stderr}");
}

#[test]
fn rejects_examples_outside_the_evaluation() {
    let dir = tempfile::tempdir().unwrap();
    let run = fixture::write(&dir.path().join("fixture"), RunSpec::default());
    let index = run.evaluate().join(names::EXPLANATIONS).join(names::EXPLANATIONS_INDEX);
    let text = std::fs::read_to_string(&index).unwrap().replacen("000.png", "../../../secret.png", 1);
    std::fs::write(&index, text).unwrap();
    update_manifest(&run, "explanations/index.json");
    let output = support::run_program(&run, &[]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("secret.png"), "{stderr}");
}

#[test]
fn page_of_a_large_evaluation_stays_below_four_megabytes() {
    let (_dir, run) = rendered(RunSpec { images: 4_000, runs: 1, ..RunSpec::default() }, &[]);
    let bytes = std::fs::metadata(run.report().join("index.html")).unwrap().len();
    assert!(bytes < 4_000_000, "{bytes}");
}
