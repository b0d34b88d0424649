//! Kinds of files, several detectors, run folders and comparisons.

use std::fs;
use std::path::PathBuf;

use artifacts::predictions;
use artifacts::{Manifest, RunDir, names};
use evaluate::compare;
use judge::judge;

use crate::support::{PER_CLASS, Scene, judged, request};

/// The headline of a file on the source.
fn roc_auc(scene: &Scene, file: PathBuf) -> f64 {
    scene.judge(&[file], |_| {}).unwrap()[0].metrics.headline.roc_auc.unwrap()
}

#[test]
fn all_kinds_of_files_give_the_same_result() {
    let scene = Scene::new();
    let paths = scene.paths("test");
    let expected = roc_auc(&scene, scene.csv("a.csv", "path,score", &scene.rows("test")));
    let lines = |row: &dyn Fn(&str, f64) -> String| {
        paths.iter().map(|path| row(path, Scene::score(path))).collect::<Vec<_>>().join("\n")
    };
    let files = [
        scene.write("list.txt", &lines(&|path, score| format!("{path} {score}"))),
        scene.write("list.csv", &lines(&|path, score| format!("{path},{score}"))),
        scene.write("semicolons.csv", &format!("Image;Prob\n{}", lines(&|path, score| format!("{path};{score}")))),
        scene
            .write("mark.csv", &format!("\u{feff}path,score\r\n{}", lines(&|path, score| format!("{path},{score}\r")))),
        scene.write("tabs.tsv", &format!("file\tp_fake\n{}", lines(&|path, score| format!("{path}\t{score}")))),
        scene.write("rows.jsonl", &lines(&|path, score| format!(r#"{{"path": "{path}", "p_fake": {score}}}"#))),
        scene.write(
            "pairs.jsonl",
            &lines(&|path, score| {
                format!(r#"{{"img": "{path}", "logits": [0.5, {}]}}"#, 0.5 + (score / (1.0 - score)).ln())
            }),
        ),
    ];
    for file in files {
        let name = file.display().to_string();
        assert!((roc_auc(&scene, file) - expected).abs() < 1e-12, "{name}");
    }
}

#[test]
fn reads_predictions_of_candling_by_the_hashes_of_the_images() {
    let scene = Scene::new();
    let file = scene.csv("a.csv", "path,score", &scene.rows("test"));
    let first = scene.judge(&[file], |_| {}).unwrap().remove(0);
    let table = scene.path("own.parquet");
    fs::copy(first.run.evaluate().join(names::PREDICTIONS), &table).unwrap();
    // Paths that no image has: only the hashes can match.
    let mut rows = predictions::read(&table).unwrap();
    rows.iter_mut().for_each(|row| row.path = "elsewhere.png".to_owned());
    predictions::write(&table, &rows).unwrap();
    let again = scene.judge(&[table], |request| request.run_dir = Some(scene.path("again"))).unwrap().remove(0);
    assert_eq!(again.metrics.headline.roc_auc, first.metrics.headline.roc_auc);
    assert_eq!(again.metrics.headline.confusion, first.metrics.headline.confusion);
}

#[test]
fn damaged_files_are_refused_with_their_row() {
    let scene = Scene::new();
    let message = |name: &str, content: &str| {
        let file = scene.write(name, content);
        scene.judge(&[file], |_| {}).unwrap_err().chain()
    };
    assert!(message("a.csv", "path,score\na.jpg,0.5\nb.jpg,cat\n").contains("row 2: `cat` is not a number"));
    assert!(message("b.csv", "a,b\n1.jpg,x\n").contains("no column names the images"));
    assert!(message("c.csv", "1.jpg,0.5,0.7\n").contains("its first line is no header"));
    assert!(message("d.csv", "").contains("no rows"));
    assert!(message("e.jsonl", "{\"path\": \"a\", \"score\": 1}\n[1]\n").contains("row 2 is not a JSON object"));
    assert!(message("f.parquet", "PAR1 is not enough").contains("f.parquet"));
    assert!(message("g.xlsx", "x").contains("unknown kind of file"));
    let outside = scene.rows("test").join("\n").replacen(",0.", ",1.", 1);
    assert!(message("h.csv", &format!("path,p_fake\n{outside}\n")).contains("probabilities are 0 to 1"));
    let mut table = fs::read(scene.write("whole.csv", "path,score\na.jpg,0.5\n")).unwrap();
    table.extend([0xff, 0xfe, b'\n']);
    fs::write(scene.path("bytes.csv"), table).unwrap();
    assert!(scene.judge(&[scene.path("bytes.csv")], |_| {}).unwrap_err().chain().contains("bytes.csv"));
}

#[test]
fn several_detectors_of_one_file_or_several_can_be_compared() {
    let scene = Scene::new();
    let rows = |model: &str, power: f64| -> Vec<String> {
        scene.paths("test").iter().map(|path| format!("{path},{},{model}", Scene::score(path).powf(power))).collect()
    };
    let both = scene.csv("both.csv", "path,score,model", &[rows("one", 1.0), rows("two", 2.0)].concat());
    let third = scene.csv("third.csv", "path,score", &scene.rows("test"));
    let runs = scene.judge(&[both, third], |_| {}).unwrap();
    let names: Vec<String> = runs.iter().map(|run| run.run.name()).collect();
    assert_eq!(names, ["one", "third", "two"]);
    let mut detectors: Vec<_> = runs.iter().map(|run| compare::read(run.run.path(), 0).unwrap()).collect();
    compare::align(&mut detectors).unwrap();
    assert_eq!(detectors[0].predictions.len(), 2 * PER_CLASS);
    let bootstrap = artifacts::schema::Bootstrap { resamples: 20, seed: 0, level: 0.95 };
    let comparison = compare::compare(&detectors, bootstrap).unwrap();
    assert_eq!(comparison.pairs[0].accuracy.only_first, 0);
    assert_eq!(comparison.pairs[0].roc_auc.as_ref().unwrap().difference, 0.0);
}

#[test]
fn comparisons_leave_out_what_verdicts_lack() {
    let scene = Scene::new();
    let scores = scene.csv("scores.csv", "path,score", &scene.rows("test"));
    let verdict = |path: &String| format!("{path},{}", u8::from(Scene::score(path) >= 0.4));
    let verdicts: Vec<String> = scene.paths("test").iter().map(verdict).collect();
    let verdicts = scene.csv("verdicts.csv", "path,verdict", &verdicts);
    let runs = scene.judge(&[scores, verdicts], |_| {}).unwrap();
    let mut detectors: Vec<_> = runs.iter().map(|run| compare::read(run.run.path(), 0).unwrap()).collect();
    compare::align(&mut detectors).unwrap();
    let bootstrap = artifacts::schema::Bootstrap { resamples: 20, seed: 0, level: 0.95 };
    let comparison = compare::compare(&detectors, bootstrap).unwrap();
    let [scores, verdicts] = [0, 1].map(|index| &comparison.detectors[index]);
    assert!(scores.scores.roc_auc.is_some() && verdicts.scores.roc_auc.is_none());
    assert!(verdicts.scores.accuracy.is_some() && !verdicts.intervals.contains_key("roc_auc"));
    let pair = &comparison.pairs[0];
    let has = |key: &str| pair.differences.iter().any(|difference| difference.score == key);
    assert!(pair.roc_auc.is_none() && has("accuracy") && !has("roc_auc"));
}

#[test]
fn up_to_date_results_are_kept_and_other_runs_are_not_overwritten() {
    let scene = Scene::new();
    let file = scene.csv("scores.csv", "path,score", &scene.rows("test"));
    let mut request = request(&[file], &scene.path("run"));
    request.config.data = Some(scene.path("set").to_string_lossy().into_owned());
    let is_new = |request: &judge::Request| judge(request).unwrap()[0].is_new;
    assert!(is_new(&request) && !is_new(&request));
    request.config.seed = 1;
    assert!(is_new(&request) && !is_new(&request));
    scene.csv("scores.csv", "path,score", &scene.rows("test").iter().map(|row| format!("{row}1")).collect::<Vec<_>>());
    assert!(is_new(&request) && !is_new(&request));
    scene.write("set/val/0_real/coco/new.jpg", "new");
    assert!(is_new(&request) && !is_new(&request));
    let run = RunDir::new(scene.path("run"));
    let manifest = Manifest::require(&run.evaluate(), "judge").unwrap();
    Manifest { stage: names::EVALUATE.to_owned(), ..manifest }.write(&run.evaluate()).unwrap();
    assert!(judge(&request).unwrap_err().chain().contains("is the run of another detector"));
}

#[test]
fn training_runs_of_a_file_are_averaged() {
    let scene = Scene::new();
    let rows = |run: u32| -> Vec<String> {
        let score = |path: &str| Scene::score(path).powi(run as i32 + 1);
        scene.paths("test").iter().map(|path| format!("{path},{},{run}", score(path))).collect()
    };
    let file = scene.csv("runs.csv", "path,score,run", &[rows(0), rows(1)].concat());
    let metrics = scene.judge(&[file], |_| {}).unwrap().remove(0).metrics;
    assert_eq!((metrics.runs.len(), metrics.headline.n), (2, 40));
    assert!(metrics.over_runs.contains_key("accuracy"));
    assert_eq!(judged(&metrics).rows, 80);
    // An image that lacks a run is left out of all runs.
    let partial = scene.csv("runs.csv", "path,score,run", &[rows(0), rows(1)[1..].to_vec()].concat());
    let metrics = scene.judge(&[partial], |request| request.config.max_missing = 0.1).unwrap().remove(0).metrics;
    assert_eq!((metrics.runs[0].scores.n, metrics.runs[1].scores.n), (39, 39));
}

#[test]
fn examples_show_pictures_of_the_source() {
    let scene = Scene::new();
    let file = scene.csv("scores.csv", "path,score", &scene.rows("test"));
    let simulated = |request: &mut judge::Request| {
        request.config.data = Some("simulated:train=0,test=8,size=32,seed=1".to_owned());
    };
    let explanations = |run: &judge::JudgedRun| run.run.evaluate().join(names::EXPLANATIONS);
    // The files of this scene are no images.
    assert!(!explanations(&scene.judge(std::slice::from_ref(&file), |_| {}).unwrap()[0]).exists());
    let source = sources::open(&sources::SourceConfig {
        source: "simulated:train=0,test=8,size=32,seed=1".into(),
        ..sources::SourceConfig::default()
    });
    let Ok(source) = source else { panic!("the simulated source cannot be opened") };
    let rows: Vec<String> =
        (0..source.len()).map(|index| format!("{},0.{}", source.entry(index).path, 1 + index % 9)).collect();
    let file = scene.csv("simulated.csv", "path,score", &rows);
    let run = scene.judge(&[file], simulated).unwrap().remove(0);
    let index = fs::read(explanations(&run).join(names::EXPLANATIONS_INDEX)).unwrap();
    let index: artifacts::schema::Explanations = serde_json::from_slice(&index).unwrap();
    assert!(!index.examples.is_empty() && run.metrics.simulated);
    for example in &index.examples {
        let png = image::open(explanations(&run).join(&example.image)).unwrap();
        assert_eq!((png.width(), png.height()), (224, 224));
        assert!(example.heat_maps.is_empty());
    }
}

#[test]
fn report_columns_group_the_scores() {
    let scene = Scene::new();
    let camera = |i: usize| ["Pixel 8", "", "EOS R5\u{1b}[31m"][i % 3];
    let rows: Vec<String> =
        scene.rows("test").iter().enumerate().map(|(i, row)| format!("{row},{}", camera(i))).collect();
    let file = scene.csv("cameras.csv", "path,score,Camera", &rows);
    let judge = |columns: &[&str]| {
        scene.judge(std::slice::from_ref(&file), |request| {
            request.config.report_columns = columns.iter().map(|name| (*name).to_owned()).collect();
        })
    };
    let metrics = judge(&["camera"]).unwrap().remove(0).metrics;
    let groups = &metrics.runs[0].columns["camera"].groups;
    let sizes: Vec<(&str, u64)> = groups.iter().map(|group| (group.name.as_str(), group.reals + group.fakes)).collect();
    // Control characters of a cell are made visible.
    let canon = sizes.iter().find(|(name, _)| name.starts_with("EOS R5"));
    assert!(canon.is_some_and(|(name, n)| *n == 13 && !name.contains('\u{1b}')), "{sizes:?}");
    assert!(sizes.len() == 3 && sizes.contains(&("Pixel 8", 14)) && sizes.contains(&("no value", 13)), "{sizes:?}");
    assert!(judge(&[]).unwrap()[0].metrics.runs[0].columns.is_empty());
    let message = judge(&["lens"]).unwrap_err().chain();
    assert!(
        message.contains("there is no column `lens` for the report; the columns are path, score, Camera"),
        "{message}"
    );
}
