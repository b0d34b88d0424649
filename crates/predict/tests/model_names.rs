//! A model is named by a run, a checkpoint, an exported folder or a repository of the Hugging Face hub.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

use artifacts::hash::{self, Hash};
use artifacts::{Checkpoint, names};
use loopback::{Reply, Server};
use pipeline_tests::program;
use pipeline_tests::untrained::{Run, succeed};
use predict::ModelInfo;
use serde_json::Value;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Copies the best checkpoint, without its optimiser, with a description.
fn export(run: &Run, to: &Path) {
    let best = Checkpoint::best(&run.run_dir().train_run(0));
    fs::create_dir_all(to).unwrap();
    for file in [names::WEIGHTS, names::MODEL_CONFIG, names::PREPROCESSOR_CONFIG] {
        fs::copy(best.path().join(file), to.join(file)).unwrap();
    }
    let weights = hash::file(&best.weights()).unwrap();
    ModelInfo::of_run(&run.run_dir(), weights).unwrap().write(to).unwrap();
}

/// Returns the rows for the test images.
fn predict(run: &Run, model: &str, environment: &[(&str, String)]) -> (Vec<Value>, Output) {
    let mut command = program("candling-predict");
    command.args(["--json", "--model", model]).arg(run.source().join("test")).envs(environment.iter().cloned());
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    (text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), output)
}

/// The scores by file, apart from the paths.
fn scores(rows: &[Value]) -> Vec<Value> {
    rows.iter().map(|row| serde_json::json!([row["file"], row["p_fake"], row["p_fake_calibrated"]])).collect()
}

#[test]
fn an_exported_folder_gives_the_scores_of_its_run() {
    let run = Run::new();
    succeed(&run.evaluate(&["--set", "evaluate.examples=0"]));
    let folder = run.dir.path().join("exported");
    export(&run, &folder);
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let (own, output) = predict(&run, &path(run.run_dir().path()), &[]);
    succeed(&output);
    assert!(own.iter().all(|row| row["p_fake_calibrated"].is_number()), "{own:?}");
    for model in [path(&folder), path(&run.run_dir().train_run(0).join("best"))] {
        let (rows, output) = predict(&run, &model, &[]);
        succeed(&output);
        assert_eq!(scores(&rows), scores(&own), "{model}");
    }
    // A description of other weights.
    let other = ModelInfo::unknown(Hash::of(b"other"));
    other.write(&folder).unwrap();
    let (_, output) = predict(&run, &path(&folder), &[]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(3) && message.contains("other weights"), "{message}");
    let (_, output) = predict(&run, "hf:owner/repo/file", &[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let (_, output) = predict(&run, &path(run.dir.path()), &[]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(3) && message.contains("there is no model"), "{message}");
}

#[test]
fn a_repository_of_the_hub_is_downloaded_once() {
    let run = Run::new();
    succeed(&run.evaluate(&["--set", "evaluate.examples=0"]));
    let folder = run.dir.path().join("exported");
    export(&run, &folder);
    let files: BTreeMap<String, Vec<u8>> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    let server = Server::start(move |request, _| {
        let path = request.path.strip_prefix("/o/r/resolve/").and_then(|rest| rest.split_once('/'));
        let file = path
            .filter(|(revision, _)| matches!(*revision, "main" | COMMIT))
            .and_then(|(_, file)| Some((file.to_owned(), files.get(file)?)));
        match file {
            Some((name, content)) => {
                let tag = format!("\"tag-of-{}\"", name.replace('.', "-"));
                Reply::file(request, content, &tag).header("x-repo-commit", COMMIT)
            }
            None => Reply::status(404),
        }
    });
    let home = run.dir.path().join("home").to_string_lossy().into_owned();
    let environment = [("HF_HOME", home.clone()), ("HF_ENDPOINT", server.url())];
    let (own, _) = predict(&run, &folder.to_string_lossy(), &[]);
    let (rows, output) = predict(&run, "hf:o/r", &environment);
    succeed(&output);
    assert_eq!(scores(&rows), scores(&own));
    assert!(rows.iter().all(|row| row["p_fake_calibrated"].is_number()), "candling.json was downloaded too");
    // Without a network, the files are in the cache.
    let offline =
        [("HF_HOME", home), ("HF_ENDPOINT", "http://127.0.0.1:9".to_owned()), ("HF_HUB_OFFLINE", "1".to_owned())];
    let (rows, output) = predict(&run, "hf:o/r", &offline);
    succeed(&output);
    assert_eq!(scores(&rows), scores(&own));
    let (_, output) = predict(&run, "hf:o/absent", &environment);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(3) && message.contains("hf:o/absent"), "{message}");
}
