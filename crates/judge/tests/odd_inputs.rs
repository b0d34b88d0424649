//! Rows that do not fit: missing, repeated, reversed, shuffled, not finite, of one class, with other paths.

use artifacts::Label;
use artifacts::schema::{LabelSource, ScoreKind, ThresholdSource};
use judge::LabelPolicy;

use crate::support::{self, PER_CLASS, Scene, judged};

#[test]
fn takes_labels_and_generators_from_the_source() {
    let scene = Scene::new();
    let metrics = scene.metrics(&scene.rows("test"), |_| {}).unwrap();
    let confusion = metrics.headline.confusion;
    assert_eq!((confusion.reals(), confusion.total()), (PER_CLASS as u64, 2 * PER_CLASS as u64));
    let generators: Vec<&str> = metrics.runs[0].generators.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(generators, ["gan", "sd"]);
    let judged = judged(&metrics);
    assert_eq!((judged.labels_from, judged.threshold, judged.is_partial()), (LabelSource::Source, Some(0.5), false));
    assert!(judged.ids_from_content);
}

#[test]
fn order_of_rows_does_not_matter() {
    let scene = Scene::new();
    let mut rows = scene.rows("test");
    let metrics = scene.metrics(&rows, |_| {}).unwrap();
    rows.reverse();
    rows.swap(3, 17);
    assert_eq!(scene.metrics(&rows, |_| {}).unwrap(), metrics);
}

#[test]
fn counts_images_without_a_prediction_and_refuses_too_many() {
    let scene = Scene::new();
    let rows = scene.rows("test")[..2 * PER_CLASS - 2].to_vec();
    let message = scene.failure(&rows, |_| {});
    assert!(message.contains("2 of 40 images") && message.contains("--max-missing 0.050"), "{message}");
    let metrics = scene.metrics(&rows, |request| request.config.max_missing = 0.05).unwrap();
    let judged = judged(&metrics);
    assert_eq!((judged.without_prediction.count, judged.predicted(), metrics.headline.n), (2, 38, 38));
    assert!(judged.coverage().starts_with("38 of 40 images have a prediction"));
}

#[test]
fn counts_rows_without_an_image_and_refuses_too_many() {
    let scene = Scene::new();
    let mut rows = scene.rows("test");
    rows.push("elsewhere/unknown.jpg,0.5".to_owned());
    let message = scene.failure(&rows, |_| {});
    assert!(message.contains("1 of 41 rows match no image") && message.contains("unknown.jpg"), "{message}");
    let metrics = scene.metrics(&rows, |request| request.config.max_missing = 0.03).unwrap();
    assert_eq!(judged(&metrics).without_image.first, ["elsewhere/unknown.jpg"]);
    assert_eq!(metrics.headline.n, 40);
}

#[test]
fn scores_that_are_not_finite_count_as_missing() {
    let scene = Scene::new();
    let mut rows = scene.rows("test");
    let paths = scene.paths("test");
    rows[0] = format!("{},nan", paths[0]);
    rows[1] = format!("{},", paths[1]);
    rows[2] = format!("{},inf", paths[2]);
    let message = scene.failure(&rows, |_| {});
    assert!(message.contains("3 of 40 images") && message.contains("3 rows have no finite score"), "{message}");
    let metrics = scene.metrics(&rows, |request| request.config.max_missing = 0.1).unwrap();
    assert_eq!((judged(&metrics).not_finite.count, judged(&metrics).without_prediction.count), (3, 3));
}

#[test]
fn leaves_out_repeated_rows_and_refuses_contradicting_ones() {
    let scene = Scene::new();
    let mut rows = scene.rows("test");
    let metrics = scene.metrics(&rows, |_| {}).unwrap();
    rows.push(rows[4].clone());
    let repeated = scene.metrics(&rows, |_| {}).unwrap();
    assert_eq!((judged(&repeated).repeated.count, repeated.headline), (1, metrics.headline));
    rows.push(format!("{},0.123", scene.paths("test")[5]));
    let message = scene.failure(&rows, |_| {});
    assert!(message.contains("rows 6 and 42") && message.contains("column `model`"), "{message}");
}

#[test]
fn asks_whether_scores_are_reversed() {
    let scene = Scene::new();
    let metrics = scene.metrics(&scene.rows("test"), |_| {}).unwrap();
    let reversed: Vec<String> =
        scene.paths("test").iter().map(|path| format!("{path},{}", 1.0 - Scene::score(path))).collect();
    let wrong = scene.metrics(&reversed, |_| {}).unwrap();
    assert!(judged(&wrong).probably_reversed && !judged(&metrics).probably_reversed);
    let right = scene.metrics(&reversed, |request| request.config.higher_is = Label::Real).unwrap();
    assert!(!judged(&right).probably_reversed);
    assert!((right.headline.roc_auc.unwrap() - metrics.headline.roc_auc.unwrap()).abs() < 1e-12);
    assert!((right.headline.brier.unwrap() - metrics.headline.brier.unwrap()).abs() < 1e-12);
}

#[test]
fn one_class_has_accuracy_and_no_roc_auc() {
    let scene = Scene::new();
    let rows: Vec<String> = scene.rows("test");
    let header = "path,score,label";
    let fakes: Vec<String> = rows[PER_CLASS..].iter().map(|row| format!("{row},fake")).collect();
    let file = scene.csv("fakes.csv", header, &fakes);
    let metrics = support::judge_file(&file, |_| {}).unwrap();
    assert_eq!((metrics.headline.roc_auc, metrics.headline.n), (None, PER_CLASS as u64));
    assert!(metrics.headline.accuracy.is_some() && !judged(&metrics).ids_from_content);
}

#[test]
fn paths_may_have_other_prefixes_and_separators() {
    let scene = Scene::new();
    let metrics = scene.metrics(&scene.rows("test"), |_| {}).unwrap();
    let spellings: [fn(&str) -> String; 5] = [
        |path| format!("/home/someone/set/{path}"),
        |path| format!(r"C:\data\{}", path.replace('/', r"\")),
        |path| path.strip_prefix("test/").unwrap().to_owned(),
        |path| format!("./{path}"),
        |path| format!("\"{path}\""),
    ];
    for spell in spellings {
        let rows: Vec<String> =
            scene.paths("test").iter().map(|path| format!("{},{}", spell(path), Scene::score(path))).collect();
        // Without the folder of the split, a path fits an image of each split.
        if !rows[0].contains("test") {
            assert!(scene.failure(&rows, |_| {}).contains("fits several images"), "{}", rows[0]);
            continue;
        }
        let found = scene.metrics(&rows, |_| {}).unwrap();
        assert_eq!(found.headline, metrics.headline, "{}", rows[0]);
    }
    let moved: Vec<String> = scene
        .paths("test")
        .iter()
        .map(|path| format!("{},{}", path.replace("test/", "eval/"), Scene::score(path)))
        .collect();
    assert!(scene.failure(&moved, |_| {}).contains("--replace-prefix"));
    let replaced = |request: &mut judge::Request| {
        request.config.replace_prefix = vec![("eval".to_owned(), "test".to_owned())];
    };
    assert_eq!(scene.metrics(&moved, replaced).unwrap().headline, metrics.headline);
}

#[test]
fn contradicting_labels_are_refused_unless_one_side_is_chosen() {
    let scene = Scene::new();
    let mut rows: Vec<String> = scene.rows("test").iter().map(|row| format!("{row},real")).collect();
    let file = scene.csv("labelled.csv", "path,score,label", &rows);
    let message = scene.judge(std::slice::from_ref(&file), |_| {}).unwrap_err().chain();
    assert!(message.contains("is labelled real in the file, but fake in the source"), "{message}");
    let of_source = |request: &mut judge::Request| request.config.labels = LabelPolicy::Source;
    let metrics = scene.judge(std::slice::from_ref(&file), of_source).unwrap().remove(0).metrics;
    assert_eq!(metrics.headline.confusion.fakes(), PER_CLASS as u64);
    rows.truncate(0);
    let message = scene.judge(&[scene.csv("empty.csv", "path,score,label", &rows)], |_| {}).unwrap_err().chain();
    assert!(message.contains("it has no rows"), "{message}");
}

#[test]
fn rows_without_labels_and_without_source_are_refused() {
    let scene = Scene::new();
    let file = scene.csv("scores.csv", "path,score", &scene.rows("test"));
    let message = support::judge_file(&file, |_| {}).unwrap_err().chain();
    assert!(message.contains("have no label") && message.contains("--data"), "{message}");
}

#[test]
fn unbounded_scores_need_a_threshold_from_somewhere_else() {
    let scene = Scene::new();
    let rows = |split: &str| -> Vec<String> {
        scene.paths(split).iter().map(|path| format!("{path},{}", 50.0 * Scene::score(path) - 3.0)).collect()
    };
    let message = scene.failure(&rows("test"), |_| {});
    assert!(message.contains("--threshold") && message.contains("--scores logits"), "{message}");
    let given = scene.metrics(&rows("test"), |request| request.config.threshold = Some(22.0)).unwrap();
    let probabilities = scene.metrics(&scene.rows("test"), |_| {}).unwrap();
    assert_eq!(given.headline.confusion, probabilities.headline.confusion);
    assert_eq!(given.headline.roc_auc, probabilities.headline.roc_auc);
    assert_eq!((judged(&given).scores, given.headline.brier), (ScoreKind::Unbounded, None));
    let with_validation = [rows("test"), rows("val")].concat();
    let chosen = scene.metrics(&with_validation, |_| {}).unwrap();
    assert_eq!(judged(&chosen).threshold_from, ThresholdSource::Validation);
    let fitted = chosen.runs[0].fitted.as_ref().unwrap();
    assert_eq!((fitted.fitted_on, judged(&chosen).validation), (2 * PER_CLASS as u64, 2 * PER_CLASS as u64));
}

#[test]
fn thresholds_of_verdicts_and_options_move_the_headline() {
    let scene = Scene::new();
    let rows = |threshold: f64| -> Vec<String> {
        let row = |path: &String| {
            let score = Scene::score(path);
            format!("{path},{score},{}", if score >= threshold { "fake" } else { "real" })
        };
        scene.paths("test").iter().map(row).collect()
    };
    let with_verdicts = |threshold: f64| {
        let file = scene.csv("verdicts.csv", "path,score,verdict", &rows(threshold));
        scene.judge(&[file], |_| {}).unwrap().remove(0).metrics
    };
    let at_half = with_verdicts(0.5);
    assert_eq!(judged(&at_half).threshold_from, ThresholdSource::Default);
    assert!(at_half.headline.brier.is_some());
    let lower = with_verdicts(0.35);
    assert_eq!(judged(&lower).threshold_from, ThresholdSource::Verdicts);
    let given = scene.metrics(&scene.rows("test"), |request| request.config.threshold = Some(0.35)).unwrap();
    assert_eq!(given.headline.confusion, lower.headline.confusion);
    assert_ne!(given.headline.confusion, at_half.headline.confusion);
    assert_eq!((given.headline.brier, given.headline.roc_auc), (None, at_half.headline.roc_auc));
    let mut contradicting = rows(0.5);
    contradicting[0] = format!("{},0.999,real", scene.paths("test")[0]);
    let file = scene.csv("verdicts.csv", "path,score,verdict", &contradicting);
    assert!(scene.judge(&[file], |_| {}).unwrap_err().chain().contains("verdicts contradict its scores"));
}

#[test]
fn copies_of_an_image_are_left_out() {
    let scene = Scene::new();
    let first = &scene.paths("test")[0];
    scene.write("set/test/0_real/coco/zz.jpg", &format!("content of {first}"));
    let metrics = scene.metrics(&scene.rows("test"), |_| {}).unwrap();
    assert_eq!((judged(&metrics).identical.count, metrics.headline.n), (1, 40));
}
