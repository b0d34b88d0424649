//! Trainings whose initial weights cannot be used.

use artifacts::atomic;
use model::Network;
use model::device::Device;

use super::*;

fn with_weights(path: impl Into<std::path::PathBuf>) -> Config {
    Config { weights: Source::Path(path.into()), ..config(1) }
}

#[test]
fn weights_that_are_not_finite_are_blamed_and_not_the_learning_rate() {
    let run = testing::ingested(&SPLITS);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let config = with_weights(&path);
    let mut network = Network::new(&config.network(), &Device::Cpu).unwrap();
    network.initialise(1).unwrap();
    network.save(&path, &BTreeMap::new()).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let (header, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let at = 8 + header + metadata.info("layer3.1.bn2.weight").unwrap().data_offsets.0;
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    atomic::write_file(&path, &bytes).unwrap();

    let failure = run_until(&run, &config, |_| false).unwrap_err();
    let message = failure.chain();
    assert_eq!(failure.code(), exit::INPUT, "{message}");
    assert!(message.contains("layer3.1.bn2.weight") && message.contains(&path.display().to_string()), "{message}");
    assert!(!message.contains("learning_rate"), "{message}");
}

#[test]
fn missing_weights_that_look_like_a_model_on_the_hub_are_explained() {
    let mut vit = with_weights("absent.safetensors");
    vit.model = ModelConfig { branches: vec![BranchName::Vit], ..ModelConfig::default() };
    vit.model.vit.weights = Source::Path("openai/clip-vit-base-patch16".into());
    for (config, key, name) in [
        (with_weights("timm/resnet50.tv_in1k"), "train.weights", "hf:timm/resnet50.tv_in1k"),
        (vit, "model.vit.weights", "hf:openai/clip-vit-base-patch16"),
    ] {
        let failure = Train::validate(&config).unwrap_err();
        let message = failure.chain();
        assert_eq!(failure.code(), exit::INPUT, "{message}");
        assert!(message.contains(key) && message.contains(&format!("write `{name}`")), "{message}");
    }
    let message = Train::validate(&with_weights("absent.safetensors")).unwrap_err().chain();
    assert!(!message.contains("hf:"), "{message}");
}
