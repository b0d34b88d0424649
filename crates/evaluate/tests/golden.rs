//! Compares metrics, temperature and paired tests with scikit-learn, scipy and published values.

use std::path::Path;

use artifacts::Label;
use artifacts::schema::CurvePoint;
use evaluate::calibration::fit_temperature;
use evaluate::metrics::{
    ConfidenceOrder, NamedValue, ProbabilityMetrics, RankMetrics, Ranking, RiskMetrics, confusion, pr_curve,
    risk_coverage_curve, roc_curve,
};
use evaluate::significance::{delong, mcnemar};
use serde_json::Value;

fn cases(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/metrics").join(name);
    let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases = golden["cases"].as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn labels(value: &Value) -> Vec<Label> {
    numbers(value).iter().map(|&index| Label::from_index(index as u8).unwrap()).collect()
}

fn assert_close(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{what}: {found} instead of {expected}");
}

fn assert_named(found: &[NamedValue], expected: &Value, case: &Value) {
    for (name, value) in found {
        let what = format!("{name} of {}", case["name"]);
        match (value, expected[name].as_f64()) {
            (Some(value), Some(expected)) => assert_close(*value, expected, &what),
            (None, None) => {}
            (found, expected) => panic!("{what}: {found:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn metrics_equal_scikit_learn_and_numpy() {
    for case in cases("metrics.json") {
        let (labels, scores) = (labels(&case["labels"]), numbers(&case["scores"]));
        let ranking = Ranking::new(&labels, &scores).unwrap();
        assert_named(&RankMetrics::of(&ranking).named(), &case["rank"], &case);
        let order = ConfidenceOrder::new(&ranking, 0.5);
        assert_named(&RiskMetrics::of(&order, &ranking).named(), &case["risk"], &case);
        assert_points(&risk_coverage_curve(&order), &case["risk"]["curve"], &case);
        let probability = ProbabilityMetrics::of(&labels, &scores).unwrap();
        assert_named(&probability.named(), &case["probability"], &case);
        for at in case["at"].as_array().unwrap() {
            let confusion = confusion(&ranking, at["threshold"].as_f64().unwrap(), |p| p);
            assert_named(&confusion.named_metrics().collect::<Vec<_>>(), at, &case);
            assert_eq!(serde_json::to_value(confusion).unwrap(), at["confusion"], "{}", case["name"]);
        }
        let roc = roc_curve(&ranking);
        let pr = pr_curve(&ranking);
        if case["roc"].is_array() {
            assert_points(&roc, &case["roc"], &case);
            assert_points(&pr, &case["pr"], &case);
        } else {
            assert!(roc.is_empty(), "a ROC curve of {}", case["name"]);
        }
    }
}

fn assert_points(found: &[CurvePoint], expected: &Value, case: &Value) {
    let (x, y) = (numbers(&expected[0]), numbers(&expected[1]));
    assert_eq!(found.len(), x.len(), "points of {}", case["name"]);
    for (index, (point, expected)) in found.iter().zip(x.into_iter().zip(y)).enumerate() {
        assert_close(point.x, expected.0, &format!("x of point {index} of {}", case["name"]));
        assert_close(point.y, expected.1, &format!("y of point {index} of {}", case["name"]));
    }
}

#[test]
fn metrics_are_undefined_without_images() {
    let ranking = Ranking::new(&[], &[]).unwrap();
    let named = [
        RankMetrics::of(&ranking).named().to_vec(),
        RiskMetrics::of(&ConfidenceOrder::of_margins(&ranking), &ranking).named().to_vec(),
        confusion(&ranking, 0.5, |p| p).named_metrics().collect(),
        ProbabilityMetrics::of(&[], &[]).unwrap().named().to_vec(),
    ];
    for (name, value) in named.iter().flatten() {
        assert_eq!(*value, None, "{name}");
    }
    assert!(roc_curve(&ranking).is_empty() && pr_curve(&ranking).is_empty());
    assert!(risk_coverage_curve(&ConfidenceOrder::of_margins(&ranking)).is_empty());
}

#[test]
fn temperature_has_lowest_log_loss() {
    for case in cases("temperature.json") {
        let (labels, margins) = (labels(&case["labels"]), numbers(&case["margins"]));
        let temperature = fit_temperature(&labels, &margins).unwrap().unwrap();
        // scipy's bounded search finds the minimum to about the square root of the float precision.
        let expected = case["temperature"].as_f64().unwrap();
        assert!((temperature.0 / expected - 1.0).abs() < 1e-6, "{}: {temperature:?}, {expected}", case["name"]);
        let p_fake: Vec<f64> = margins.iter().map(|&margin| temperature.calibrate(margin)).collect();
        let loss = ProbabilityMetrics::of(&labels, &p_fake).unwrap().log_loss.unwrap();
        assert_close(loss, case["log_loss"].as_f64().unwrap(), "log loss");
    }
}

#[test]
fn delong_equals_definition_and_published_values() {
    for case in cases("delong.json") {
        let test = delong(&labels(&case["labels"]), &numbers(&case["a"]), &numbers(&case["b"])).unwrap().unwrap();
        for k in 0..2 {
            assert_close(test.areas[k], case["areas"][k].as_f64().unwrap(), "area");
            assert_close(test.variances[k], case["variances"][k].as_f64().unwrap(), "variance");
        }
        assert_close(test.covariance, case["covariance"].as_f64().unwrap(), "covariance");
        assert_close(test.z.unwrap(), case["z"].as_f64().unwrap(), "z");
        assert_close(test.p.unwrap(), case["p"].as_f64().unwrap(), "p");
        if case["interval"].is_array() {
            for (end, expected) in [test.interval.low, test.interval.high].into_iter().zip(numbers(&case["interval"])) {
                assert_close(end, expected, "interval");
            }
        }
    }
}

#[test]
fn delong_of_equal_detectors_has_p_1() {
    let labels: Vec<Label> = (0..20).map(|i| Label::from_index(i % 2).unwrap()).collect();
    let scores: Vec<f64> = (0..20).map(|i| f64::from(i * 7 % 11)).collect();
    let test = delong(&labels, &scores, &scores).unwrap().unwrap();
    assert_eq!((test.z, test.p), (Some(0.0), Some(1.0)));
    let constant = delong(&labels, &[0.5; 20], &[0.5; 20]).unwrap().unwrap();
    assert_eq!((constant.z, constant.p), (Some(0.0), Some(1.0)));
    let one_fake = [Label::Fake, Label::Real, Label::Real];
    assert_eq!(delong(&one_fake, &[0.1; 3], &[0.2; 3]).unwrap(), None);
}

#[test]
fn mcnemar_equals_scipy() {
    for case in cases("mcnemar.json") {
        let count = |name: &str| case[name].as_u64().unwrap();
        let test = mcnemar(count("only_a"), count("only_b"));
        assert_close(test.p, case["exact_p"].as_f64().unwrap(), &format!("exact p of {case}"));
        assert_close(test.chi_square, case["chi_square"].as_f64().unwrap(), "chi-square");
        assert_close(test.chi_square_p, case["chi_square_p"].as_f64().unwrap(), "p of chi-square");
    }
}
