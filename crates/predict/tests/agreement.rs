//! `candling-predict` agrees with the evaluation of the same checkpoint.

use artifacts::schema::Metrics;
use artifacts::{names, predictions};
use pipeline_tests::untrained::{Run, read, succeed};
use serde_json::Value;

#[test]
fn scores_and_verdicts_equal_those_of_the_evaluation() {
    let run = Run::new();
    succeed(&run.evaluate(&["--set", "evaluate.examples=0"]));
    let folder = run.run_dir().evaluate();
    let predictions = predictions::read(&folder.join(names::PREDICTIONS)).unwrap();
    let metrics: Metrics = read(&folder.join(names::METRICS));
    let band = metrics.runs[0].fitted.as_ref().unwrap().inconclusive;
    let source = run.source().join("test");
    let hostile = source.join("a\u{1b}[31m<b>\n.png");
    std::fs::write(&hostile, b"\x89PNG\r\n\x1a\n and then nothing").unwrap();
    std::fs::write(source.join("empty.jpg"), b"").unwrap();
    let overlays = run.dir.path().join("overlays");
    let (rows, output) =
        run.predict(&[&source.to_string_lossy(), "--batch", "5", "--explain", &overlays.to_string_lossy()]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(rows.len(), 14);
    assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b));
    let (broken, good): (Vec<&Value>, Vec<&Value>) = rows.iter().partition(|row| row["error"].is_string());
    assert_eq!(broken.len(), 2);
    assert!(broken.iter().all(|row| row["verdict"].is_null() && row["p_fake"].is_null()));
    for row in good {
        let file = row["file"].as_str().unwrap();
        let expected = predictions.iter().find(|row| row.run == 0 && row.id.to_string() == file).unwrap();
        assert_eq!(row["p_fake"].as_f64().unwrap().to_bits(), expected.p_fake.to_bits(), "{row}");
        let calibrated = expected.p_fake_calibrated.unwrap();
        assert_eq!(row["p_fake_calibrated"].as_f64().unwrap().to_bits(), calibrated.to_bits(), "{row}");
        let verdict = match calibrated {
            p if p < band.low => "real",
            p if p >= band.high => "fake",
            _ => "inconclusive",
        };
        assert_eq!(row["verdict"], verdict, "{row}");
        assert!(image::open(row["explanation"].as_str().unwrap()).is_ok());
    }
}
