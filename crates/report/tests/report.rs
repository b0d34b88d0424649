//! What the program writes, and what it says when it cannot.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::path::Path;

use artifacts::schema::Robustness;
use artifacts::{Manifest, RunDir, names};
use support::fixture::{self, Plan};

fn rendered(plan: Plan, overrides: &[&str]) -> (tempfile::TempDir, RunDir) {
    let dir = tempfile::tempdir().unwrap();
    let run = fixture::write(&dir.path().join("made-up"), plan);
    support::render(&run, overrides);
    (dir, run)
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The page without its base64, in which any three letters stand somewhere.
fn without_pictures(page: &str) -> String {
    let mut parts = page.split("data:image/");
    let first = parts.next().unwrap().to_owned();
    first + &parts.map(|part| part.split_once('"').unwrap().1).collect::<String>()
}

#[test]
fn the_report_is_complete_and_listed() {
    let (_dir, run) = rendered(Plan::default(), &[]);
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
fn an_unchanged_run_is_not_reported_again() {
    let (_dir, run) = rendered(Plan::default(), &[]);
    let said = support::run_program(&run, &[]).stderr;
    assert!(String::from_utf8_lossy(&said).contains("up to date"), "{}", String::from_utf8_lossy(&said));
    let said = support::run_program(&run, &["report.correct=3"]).stderr;
    assert!(!String::from_utf8_lossy(&said).contains("up to date"));
}

#[test]
fn every_figure_is_well_formed_and_names_no_other_file() {
    let (_dir, run) = rendered(Plan::default(), &[]);
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
fn every_figure_lies_there_as_a_picture_too() {
    let (_dir, run) = rendered(Plan::default(), &[]);
    let of_kind = |kind: &str| -> Vec<_> {
        let files = files(&run.report().join("figures")).into_iter();
        files.filter(|path| path.extension().is_some_and(|found| found == kind)).collect()
    };
    let stems = |paths: &[std::path::PathBuf]| -> Vec<String> {
        paths.iter().map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
    };
    let (drawings, pictures) = (of_kind("svg"), of_kind("png"));
    assert_eq!(stems(&drawings), stems(&pictures));
    for path in pictures {
        let picture = image::open(&path).unwrap().into_luma8();
        let dark = picture.pixels().filter(|pixel| pixel.0[0] < 100).count();
        assert!(picture.width() >= 900 && dark > 2_000, "{}: {dark} dark pixels", path.display());
        assert_eq!(picture.get_pixel(0, 0).0[0], 255, "{}: white paper", path.display());
    }
}

#[test]
fn the_audit_is_shown_and_its_warning_comes_first() {
    let (_dir, run) = rendered(Plan::default(), &[]);
    let page = without_pictures(&support::read(&run, "index.html"));
    let answer = page.split("id=\"results\"").next().unwrap();
    assert!(answer.contains("Do not trust these scores yet: the file size of a file gives its class away"), "{answer}");
    assert!(answer.contains("has a ROC-AUC of 0.810") && answer.contains("also warns of format"), "{answer}");
    let audit = page.split("id=\"audit\"").nth(1).unwrap().split("</section>").next().unwrap();
    for part in [
        "Warning.",
        "fakes are &lt;b&gt;PNG&lt;/b&gt; more often",
        "all that the file tells",
        "file size 72.0%; format 28.0%",
        "nothing: no feature varies",
        "over 20000 to 90000",
        "The same for all images, so that they tell nothing: progressive JPEG.",
        "2 pairs",
        "2 test images have one in training or validation. 1 validation image has one in training.",
        "both labels",
        "Left out: 7 files for one in the same split, 5 for one in another, 2 because the same bytes stand under both labels.",
        "The source has 3 test images in training or validation as well",
        "That it declares nothing proves nothing",
    ] {
        assert!(audit.contains(part), "{part}: {audit}");
    }
    assert_eq!(audit.matches("<img").count(), 4, "the pictures of both pairs");
    let card = support::read(&run, "README.md");
    assert!(card.contains("**Do not trust these scores yet: the file size"), "{card}");
    let pairs = support::read(&run, "figures/near-duplicates.csv");
    assert_eq!(pairs.lines().count(), 3, "{pairs}");
}

#[test]
fn an_audit_that_finds_nothing_is_said_to_and_warns_of_nothing() {
    let (_dir, run) = rendered(Plan { clean: true, ..Plan::default() }, &[]);
    let page = without_pictures(&support::read(&run, "index.html"));
    assert!(
        page.contains("<strong>Pass.</strong>") && page.contains("None were found. Pictures that are the same but for")
    );
    assert!(!page.contains("Do not trust these scores yet"));
    assert!(!support::read(&run, "README.md").contains("Do not trust these scores yet"));
}

#[test]
fn without_the_shards_the_pairs_are_named_and_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let run = fixture::write(&dir.path().join("made-up"), Plan::default());
    for path in files(&run.ingest()).into_iter().filter(|path| path.extension().is_some_and(|e| e == "parquet")) {
        std::fs::remove_file(path).unwrap();
    }
    support::render(&run, &[]);
    let page = support::read(&run, "index.html");
    assert!(page.contains("the shards that hold them are not there"));
    assert!(support::read(&run, "figures/near-duplicates.csv").contains("train/real/00007.jpg"));
}

#[test]
fn scores_of_a_model_that_was_trained_again_are_not_passed_off_as_its_own() {
    let stale = "it was trained again since";
    let (_dir, run) = rendered(Plan::default(), &[]);
    let page = || std::fs::read_to_string(run.report().join("index.html")).unwrap();
    assert!(!page().contains(stale));
    for k in 0..run.complete_train_runs().len() {
        fixture::write_training(&run.train_run(k), 10 + k);
    }
    support::render(&run, &[]);
    let page = page();
    assert!(page.contains("These scores are not of the model whose training is shown"));
    assert!(page.matches(stale).count() >= 2, "the other data are marked too");
}

#[test]
fn a_mean_over_runs_of_which_one_was_trained_again_is_marked() {
    let (_dir, run) = rendered(Plan::default(), &[]);
    std::fs::remove_dir_all(run.train_run(1)).unwrap();
    fixture::write_training(&run.train_run(1), 10);
    support::render(&run, &[]);
    let page = support::read(&run, "index.html");
    assert!(page.contains("not that of the trainings that are shown: the weights that were judged in run 1 are gone"));
    assert!(!page.contains("of weights that this run no longer has"), "what is shown of other data is run 0");
}

/// Has the manifest of the evaluation describe a file as it is now.
fn renew(run: &RunDir, name: &str) {
    let path = run.evaluate().join(name);
    let mut manifest = Manifest::require(&run.evaluate(), names::EVALUATE).unwrap();
    let listed = manifest.outputs.get_mut(name).unwrap();
    listed.blake3 = artifacts::hash::file(&path).unwrap();
    listed.bytes = std::fs::metadata(&path).unwrap().len();
    manifest.write(&run.evaluate()).unwrap();
}

#[test]
fn files_of_a_later_version_are_refused() {
    for name in [names::METRICS, Robustness::FILE, "explanations/index.json"] {
        let dir = tempfile::tempdir().unwrap();
        let run = fixture::write(&dir.path().join("made-up"), Plan::default());
        let path = run.evaluate().join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen("\"schema_version\": 1", "\"schema_version\": 2", 1)).unwrap();
        renew(&run, name);
        let output = support::run_program(&run, &[]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains(name) && said.contains("schema version 2"), "{said}");
    }
}

#[test]
fn verdicts_that_do_not_last_are_listed() {
    let (_dir, run) = rendered(Plan::default(), &[]);
    let page = without_pictures(&support::read(&run, "index.html"));
    assert!(page.contains("Verdicts that do not last") && page.contains("JPEG 60, 30; blur 2"));
    let flips = support::read(&run, "figures/flips.csv");
    let rows = flips.lines().filter(|line| line.contains(",blur,2,")).count();
    assert!(rows > 3 && flips.lines().count() == 3 * rows + 1, "{flips}");
}

#[test]
fn published_results_stand_beside_ours_for_their_data_set_only() {
    let published = |dataset: &str| {
        format!(
            "report.published={{dataset = \"{dataset}\", name = \"the baseline\", accuracy = 0.85, roc_auc = 0.96}}"
        )
    };
    let (_dir, run) = rendered(Plan::default(), &[&published(fixture::SOURCE)]);
    let page = support::read(&run, "index.html");
    assert!(page.contains("the baseline") && page.contains("not given"));
    let (_dir, run) = rendered(Plan::default(), &[&published("kaggle:another/set")]);
    assert!(!support::read(&run, "index.html").contains("the baseline"));
}

#[test]
fn simulated_data_are_named_so_wherever_they_are_named() {
    let (_dir, run) = rendered(Plan { simulated: true, ..Plan::default() }, &[]);
    let page = support::read(&run, "index.html");
    assert!(page.contains("simulated data") && page.contains("simulated images of the test split"));
    let card = support::read(&run, "README.md");
    assert!(card.contains("- simulated-data\n") && card.contains("a-line (simulated)"), "{card}");
    assert!(support::read(&run, "figures/roc.svg").contains(">simulated data<"));
    let (_dir, run) = rendered(Plan::default(), &[]);
    assert!(!support::read(&run, "index.html").contains("simulated data"));
    assert!(!support::read(&run, "figures/roc.svg").contains("simulated data"));
}

#[test]
fn what_is_undefined_is_a_dash_with_a_reason() {
    let (_dir, run) = rendered(Plan { fakes: false, ..Plan::default() }, &[]);
    let page = support::read(&run, "index.html");
    assert!(page.contains("ROC-AUC is undefined: it needs images of both classes"));
    assert!(!without_pictures(&page).contains("NaN"));
    assert!(!page.contains("id=\"figure-roc\""), "a curve without points");
    let card = support::read(&run, "README.md");
    assert!(card.contains("| ROC-AUC | – |") && !card.contains("NaN"), "{card}");
}

#[test]
fn hostile_names_are_words_everywhere() {
    let (_dir, run) = rendered(Plan::default(), &[]);
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
fn a_title_cannot_break_out_of_the_card() {
    let (_dir, run) = rendered(Plan::default(), &["report.title=\"a: \\\"b\\\"\\n---\\n# <i>\""]);
    let card = support::read(&run, "README.md");
    assert_eq!(card.lines().filter(|line| *line == "---").count(), 2, "{card}");
    assert!(card.contains("\\<i\\>") && card.contains("base_model: \"timm/resnet50.tv_in1k\""), "{card}");
}

#[test]
fn a_missing_or_damaged_evaluation_is_an_error_that_says_what_to_do() {
    let (_dir, run) = rendered(Plan::default(), &[]);
    std::fs::write(run.evaluate().join(names::METRICS), "{}").unwrap();
    let output = support::run_program(&run, &["report.correct=5"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("metrics.json") && said.contains("cargo xtask evaluate --force"), "{said}");
    assert!(run.report().join("index.html").exists(), "the former report stays");

    std::fs::remove_dir_all(run.evaluate()).unwrap();
    let output = support::run_program(&run, &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("run `cargo xtask evaluate` first"), "{said}");
}

#[test]
fn a_list_of_examples_cannot_name_a_file_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let run = fixture::write(&dir.path().join("made-up"), Plan::default());
    let index = run.evaluate().join(names::EXPLANATIONS).join(names::EXPLANATIONS_INDEX);
    let text = std::fs::read_to_string(&index).unwrap().replacen("000.png", "../../../secret.png", 1);
    std::fs::write(&index, text).unwrap();
    renew(&run, "explanations/index.json");
    let output = support::run_program(&run, &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("secret.png"), "{said}");
}

#[test]
fn a_large_evaluation_gives_a_page_of_a_few_megabytes() {
    let (_dir, run) = rendered(Plan { images: 4_000, runs: 1, ..Plan::default() }, &[]);
    let bytes = std::fs::metadata(run.report().join("index.html")).unwrap().len();
    assert!(bytes < 4_000_000, "{bytes}");
}
