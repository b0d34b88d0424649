//! What an export writes, and what it refuses to replace.

use std::fs;

use artifacts::stage::exit;
use export::cli::Format;
use serde_json::Value;

use crate::common::{SIDE, checkpoint, export_to};

#[test]
fn folder_is_complete_and_replaces_only_earlier_exports() {
    let dir = tempfile::tempdir().unwrap();
    let from = checkpoint(dir.path(), "resnet18");
    fs::write(from.join("training_state.safetensors"), "optimiser").unwrap();
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    export_to(&from, Format::Hf, &out).unwrap();
    let mut names: Vec<String> =
        fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["README.md", "candling.json", "config.json", "model.safetensors", "preprocessor_config.json"]);
    let config: Value = serde_json::from_slice(&fs::read(out.join("config.json")).unwrap()).unwrap();
    assert_eq!((&config["architecture"], &config["id2label"]["1"]), (&"resnet18".into(), &"fake".into()));
    assert_eq!(config["pretrained_cfg"]["input_size"], serde_json::json!([3, SIDE, SIDE]));
    let card = fs::read_to_string(out.join("README.md")).unwrap();
    for part in
        ["library_name: timm", "candling predict --model", "## Limits", "training images are not known", "BLAKE3"]
    {
        assert!(card.contains(part), "{part}: {card}");
    }
    assert!(!card.contains(&*dir.path().to_string_lossy()), "{card}");

    fs::write(out.join("README.md"), "an old one").unwrap();
    export_to(&from, Format::Hf, &out).expect("an earlier export is replaced");
    assert_eq!(fs::read_to_string(out.join("README.md")).unwrap(), card);
    fs::create_dir(dir.path().join("photos")).unwrap();
    fs::write(dir.path().join("photos/1.jpg"), "a photo").unwrap();
    for (target, format, message) in [
        ("photos", Format::Hf, "is not an exported model and would be replaced"),
        ("checkpoint", Format::Hf, "is not an exported model"),
        ("checkpoint/config.json", Format::Hf, "is a file"),
        ("photos", Format::Onnx, "is a folder"),
    ] {
        let refused = export_to(&from, format, &dir.path().join(target)).unwrap_err();
        assert_eq!(refused.code(), exit::USAGE, "{target}");
        assert!(refused.to_string().contains(message), "{refused}");
    }
    assert_eq!(fs::read_to_string(dir.path().join("photos/1.jpg")).unwrap(), "a photo");
}

#[test]
fn refuses_missing_and_damaged_models() {
    let dir = tempfile::tempdir().unwrap();
    let from = checkpoint(dir.path(), "resnet18");
    let out = dir.path().join("model.onnx");
    let refused = |message: &str| {
        let failure = export_to(&from, Format::Onnx, &out).unwrap_err();
        assert!(failure.chain().contains(message), "{}", failure.chain());
        assert!(!out.exists());
    };
    let weights = fs::read(from.join("model.safetensors")).unwrap();
    fs::write(from.join("model.safetensors"), &weights[..weights.len() / 2]).unwrap();
    refused("model.safetensors");
    fs::remove_file(from.join("model.safetensors")).unwrap();
    refused("there is no checkpoint with its model.safetensors");
}
