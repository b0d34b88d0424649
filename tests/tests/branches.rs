//! Pipelines with detectors of branches that need no pretrained weights.

use std::fs;
use std::path::{Path, PathBuf};

use artifacts::{RunDir, config, names, predictions, random};
use pipeline_tests::{Sandbox, complete_manifest, json, output_of, program};
use pixels::RgbImage;
use pixels::encode::{Subsampling, jpeg};
use rand::RngExt;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::Value;

/// A pipeline of seconds with three branches.
pub(crate) const BRANCHES: &str = "
[ingest]
source = 'simulated:train=60,test=24,size=96,seed=3'
size = 32
val_fraction = 0.25
keep_files = true

[model]
branches = ['frequency', 'patches', 'metadata']
patches = { side = 32, count = 2 }
held_out_folds = 2

[model.views]
train = 1
augment = { jpeg = { probability = 0.5 } }

[train]
epochs = 3
batch = 16

[evaluate]
resamples = 50
examples = 2
";

fn weights(run: &RunDir) -> Vec<u8> {
    fs::read(run.train_run(0).join("best").join(names::WEIGHTS)).unwrap()
}

/// Returns the row of `predict --json` for a file.
fn predict(run: &RunDir, file: &Path) -> Value {
    let mut command = program("candling-predict");
    command.arg("--run-dir").arg(run.path()).arg("--json").arg(file);
    let output = output_of(&mut command).expect_code(0).stdout;
    let parsed: Value = serde_json::from_str(output.trim()).unwrap();
    parsed.as_array().and_then(|rows| rows.first().cloned()).unwrap_or(parsed)
}

#[test]
fn pipeline_trains_judges_and_reports_branches() {
    let sandbox = Sandbox::new();
    sandbox.write_pipeline(BRANCHES);
    let run = sandbox.run("first");
    let robustness = ["--set", "evaluate.robustness=true", "--set", "evaluate.robustness_images=4"];
    sandbox.pipeline_into(&run, &robustness).expect_code(0);
    for dir in [run.ingest(), run.train_run(0), run.evaluate(), run.report()] {
        complete_manifest(&dir);
    }
    let written = config::read(&run.config()).unwrap();
    assert_eq!(written["model"]["branches"].as_array().unwrap().len(), 3);
    assert!(written["train"].get("model").is_none());
    let dry = sandbox.pipeline_into(&run, &[&["--dry-run"], &robustness[..]].concat());
    assert_eq!(dry.expect_code(0).stderr.matches("would not run: up to date").count(), 4);

    // Metadata has its own P(fake), and does not change the verdict.
    let rows = predictions::read(&run.evaluate().join(names::PREDICTIONS)).unwrap();
    for row in &rows {
        assert_eq!(row.branches.keys().collect::<Vec<_>>(), ["frequency", "metadata", "patches"]);
        let fused = [row.branches["frequency"].unwrap(), row.branches["patches"].unwrap()];
        assert!(fused[0].min(fused[1]) - 1e-6 <= row.p_fake && row.p_fake <= fused[0].max(fused[1]) + 1e-6);
    }
    let metrics = json(&run.evaluate().join(names::METRICS));
    let ablation = metrics["runs"][0]["ablation"].as_array().unwrap();
    // Each branch alone, both branches of the fusion, and metadata with them.
    assert_eq!(ablation.len(), 5, "{ablation:?}");
    assert!(fs::read_to_string(run.page()).unwrap().contains("id=\"branches\""));

    // The network on windows has a heat map for both classes, and the branch `frequency` has a spectrum.
    let explanations = json(&run.evaluate().join(names::EXPLANATIONS).join(names::EXPLANATIONS_INDEX));
    for example in explanations["examples"].as_array().unwrap() {
        assert_eq!(heat_maps(example), [["patches", "real"], ["patches", "fake"]].map(|map| map.map(str::to_owned)));
        let spectrum = example["spectrum"]["image"].as_str().unwrap();
        assert!(run.evaluate().join(names::EXPLANATIONS).join(spectrum).is_file());
    }

    // The prediction for a file equals the evaluation's.
    let sample = &rows[0];
    let image = sandbox.path().join("image.jpg");
    let shards = artifacts::shard::Shards::open(&run.ingest(), artifacts::Split::Test).unwrap();
    let row = shards.samples().iter().position(|found| found.id == sample.id).unwrap();
    fs::write(&image, shards.file(row).unwrap()).unwrap();
    let predicted = predict(&run, &image);
    assert!((predicted["p_fake"].as_f64().unwrap() - sample.p_fake).abs() < 1e-6, "{predicted}");
    assert!(predicted["branches"]["frequency"].is_f64() && predicted["branches"]["patches"].is_f64(), "{predicted}");

    // The branches have nothing to say about a picture that is too small for them.
    let small = sandbox.path().join("small.jpg");
    let grey = RgbImage::from_fn(30, 30, |x, y| [(x * 3 + y) as u8; 3]);
    fs::write(&small, jpeg(&grey, 90, Subsampling::Full).unwrap()).unwrap();
    let predicted = predict(&run, &small);
    assert!(predicted["branches"]["patches"].is_null(), "{predicted}");
    assert!(predicted["branches"]["frequency"].is_null() && predicted["p_fake"].as_f64() == Some(0.5), "{predicted}");
}

/// Returns branch and class of each heat map of an example, those for real first.
fn heat_maps(example: &Value) -> Vec<[String; 2]> {
    let maps = example["heat_maps"].as_array().unwrap().iter();
    let mut maps: Vec<_> =
        maps.map(|map| ["branch", "class"].map(|key| map[key].as_str().unwrap().to_owned())).collect();
    maps.sort_by_key(|[branch, class]| (branch.clone(), class == "fake"));
    maps
}

/// Writes a vision transformer of 2 blocks with random weights, in the shape of the golden values `name`. Returns the path of
/// the weights.
pub(crate) fn write_vision_transformer(folder: &Path, name: &str) -> PathBuf {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/vision").join(format!("{name}.json"));
    let golden = json(&golden);
    fs::create_dir_all(folder).unwrap();
    for (file, key) in [("config.json", "config"), ("preprocessor_config.json", "preprocessor")] {
        fs::write(folder.join(file), golden[key].to_string()).unwrap();
    }
    let mut random = random::stream(5, "vision transformer", &[]);
    let mut data = Vec::new();
    for (name, shape) in golden["tensors"].as_object().unwrap() {
        let shape: Vec<usize> = serde_json::from_value(shape.clone()).unwrap();
        let count: usize = shape.iter().product();
        let values = (0..count).map(|_| random.random_range(-0.3_f32..0.3));
        data.push((name.clone(), shape, values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>()));
    }
    let views = data
        .iter()
        .map(|(name, shape, data)| (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    let path = folder.join("model.safetensors");
    safetensors::serialize_to_file(views, None, &path).unwrap();
    path
}

#[test]
fn vision_transformer_explains_its_verdicts() {
    let sandbox = Sandbox::new();
    let weights = write_vision_transformer(&sandbox.path().join("transformer"), "siglip");
    let vit = BRANCHES.replace("'frequency', 'patches', 'metadata'", "'vit'");
    let vit = vit.replace("[model.views]", &format!("vit.weights = '{}'\n[model.views]", weights.display()));
    sandbox.write_pipeline(&vit);
    let run = sandbox.run("vit");
    sandbox.pipeline_into(&run, &[]).expect_code(0);
    let explanations = json(&run.evaluate().join(names::EXPLANATIONS).join(names::EXPLANATIONS_INDEX));
    for example in explanations["examples"].as_array().unwrap() {
        assert_eq!(heat_maps(example), [["vit", "real"], ["vit", "fake"]].map(|map| map.map(str::to_owned)));
        assert!(example.get("spectrum").is_none());
    }
    assert!(explanations["sanity"]["maps"].as_u64().unwrap() > 0, "{}", explanations["sanity"]);

    // `predict --explain` writes the same kind of map.
    let shards = artifacts::shard::Shards::open(&run.ingest(), artifacts::Split::Test).unwrap();
    let image = sandbox.path().join("image.jpg");
    fs::write(&image, shards.file(0).unwrap()).unwrap();
    let mut command = program("candling-predict");
    command.args(["--json", "--run-dir"]).arg(run.path()).arg("--explain").arg(sandbox.path().join("maps")).arg(&image);
    let row: Value = serde_json::from_str(output_of(&mut command).expect_code(0).stdout.trim()).unwrap();
    assert!(Path::new(row["explanations"]["vit"].as_str().unwrap()).is_file(), "{row}");
}

/// A detector with a transformer that is trained by LoRA, and a ResNet beside it.
#[test]
fn trained_transformer_and_resnet_judge_together() {
    let sandbox = Sandbox::new();
    let weights = write_vision_transformer(&sandbox.path().join("transformer"), "siglip");
    let both = BRANCHES.replace("'frequency', 'patches', 'metadata'", "'vit', 'resnet18', 'frequency'");
    let both = both.replace(
        "[model.views]",
        &format!(
            "vit = {{ weights = '{}', tuning = 'lora', lora_rank = 2 }}\nresnet = {{ size = 64 }}\n[model.views]",
            weights.display()
        ),
    );
    sandbox.write_pipeline(&both.replace("[train]\nepochs = 3", "[train]\nweights = 'none'\nepochs = 2"));
    let run = sandbox.run("both");
    sandbox.pipeline_into(&run, &[]).expect_code(0);
    let rows = predictions::read(&run.evaluate().join(names::PREDICTIONS)).unwrap();
    assert!(rows.iter().all(|row| row.branches.len() == 3 && row.branches.values().all(Option::is_some)), "{rows:?}");
    let explanations = json(&run.evaluate().join(names::EXPLANATIONS).join(names::EXPLANATIONS_INDEX));
    let of_both = [["resnet18", "real"], ["resnet18", "fake"], ["vit", "real"], ["vit", "fake"]];
    for example in explanations["examples"].as_array().unwrap() {
        assert_eq!(heat_maps(example), of_both.map(|map| map.map(str::to_owned)));
    }
    let shards = artifacts::shard::Shards::open(&run.ingest(), artifacts::Split::Test).unwrap();
    let image = sandbox.path().join("image.jpg");
    fs::write(&image, shards.file(0).unwrap()).unwrap();
    let sample = rows.iter().find(|row| row.id == shards.sample(0).id).unwrap();
    let predicted = predict(&run, &image);
    assert!((predicted["p_fake"].as_f64().unwrap() - sample.p_fake).abs() < 1e-6, "{predicted}");
    assert!(predicted["branches"]["resnet18"].is_f64() && predicted["branches"]["vit"].is_f64(), "{predicted}");

    // The result does not depend on the number of threads.
    let again = sandbox.run("again");
    for stage in ["ingest", "train"] {
        output_of(sandbox.stage(stage, &again).env("RAYON_NUM_THREADS", "1")).expect_code(0);
    }
    assert!(self::weights(&run) == self::weights(&again), "the weights differ");
}

#[test]
fn number_of_threads_does_not_change_a_training() {
    let sandbox = Sandbox::new();
    sandbox.write_pipeline(BRANCHES);
    let runs = ["1", "2"].map(|threads| {
        let run = sandbox.run(threads);
        for stage in ["ingest", "train"] {
            output_of(sandbox.stage(stage, &run).env("RAYON_NUM_THREADS", threads)).expect_code(0);
        }
        run
    });
    assert!(weights(&runs[0]) == weights(&runs[1]), "the weights differ");
}

#[test]
fn refuses_branches_without_files_or_weights_before_it_writes() {
    let sandbox = Sandbox::new();
    sandbox.write_pipeline(BRANCHES);
    let run = sandbox.run("refused");
    let files = sandbox.pipeline_into(&run, &["--set", "ingest.keep_files=false"]).expect_code(2);
    assert!(files.stderr.contains("ingest.keep_files"), "{}", files.stderr);
    let vit = ["--set", "model.branches=['vit']", "--set", "model.vit.weights=none"];
    let weights = sandbox.pipeline_into(&run, &vit).expect_code(2);
    assert!(weights.stderr.contains("model.vit.weights"), "{}", weights.stderr);
    assert!(!run.path().exists());
}
