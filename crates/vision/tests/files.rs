//! Files that are no towers, or do not fit their configuration.

use std::collections::BTreeMap;

use safetensors::Dtype;
use serde_json::json;
use vision::{Error, Family, Tower};

use crate::common::{CASES, Golden};

fn error_of(golden: &Golden) -> String {
    let folder = tempfile::tempdir().unwrap();
    Tower::open(&golden.write(folder.path())).unwrap_err().to_string()
}

#[test]
fn lists_missing_and_misshaped_tensors() {
    let mut golden = Golden::read("clip");
    golden.tensors.remove("vision_model.encoder.layers.1.mlp.fc2.bias");
    golden.tensors.insert("vision_model.post_layernorm.weight".to_owned(), vec![31]);
    let message = error_of(&golden);
    for part in [
        "model.safetensors",
        "config.json",
        "vision_model.encoder.layers.1.mlp.fc2.bias [32] is missing",
        "vision_model.post_layernorm.weight has shape [31] instead of [32]",
        "download both again",
    ] {
        assert!(message.contains(part), "{message}");
    }
    // A configuration of a much deeper model does not flood the message.
    let mut golden = Golden::read("clip");
    golden.config["num_hidden_layers"] = json!(40);
    let message = error_of(&golden);
    assert!(message.contains("more;") && message.len() < 2000, "{message}");
}

#[test]
fn rejects_files_without_a_tower() {
    let mut golden = Golden::read("clip");
    golden.tensors = BTreeMap::from([("layer1.0.conv1.weight".to_owned(), vec![4, 4, 1, 1])]);
    let message = error_of(&golden);
    assert!(message.contains("no image tower") && message.contains("layer1.0.conv1.weight"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let header = br#"{"__metadata__":{"format":"pt"}}"#;
    std::fs::write(&path, [&(header.len() as u64).to_le_bytes(), &header[..]].concat()).unwrap();
    let error = Tower::open(&path).unwrap_err().to_string();
    assert!(error.contains("no tensors"), "{error}");
    std::fs::write(&path, "PNG").unwrap();
    let error = Tower::open(&path).unwrap_err();
    assert!(matches!(error, Error::SafeTensors { .. }), "{error}");
}

#[test]
fn leaves_out_a_common_prefix() {
    for case in CASES {
        let golden = Golden::read(case);
        let features = |prefix: &str| {
            let folder = tempfile::tempdir().unwrap();
            golden.write(folder.path());
            let path = golden.write_weights(folder.path(), Dtype::F32, prefix);
            let tower = Tower::open(&path).unwrap();
            let side = tower.preprocessing().size;
            let pixels: Vec<u8> = (0..side * side * 3).map(|i| (i * 31 % 251) as u8).collect();
            let features = tower.features(&pixels, 1, &[0, 1]).unwrap();
            (features.layers, features.pooled)
        };
        let expected = features("");
        for prefix in ["module.", "model.backbone."] {
            assert_eq!(features(prefix), expected, "{case} {prefix}");
        }
    }
    // An error has the names of the file.
    let mut golden = Golden::read("clip");
    golden.tensors.remove("vision_model.post_layernorm.weight");
    let folder = tempfile::tempdir().unwrap();
    golden.write(folder.path());
    let message = Tower::open(&golden.write_weights(folder.path(), Dtype::F32, "module.")).unwrap_err().to_string();
    assert!(message.contains("module.vision_model.post_layernorm.weight [32] is missing"), "{message}");
}

#[test]
fn names_file_and_tensor_that_is_not_finite() {
    let (golden, folder) = (Golden::read("clip"), tempfile::tempdir().unwrap());
    golden.write(folder.path());
    for (dtype, nan) in [(Dtype::F32, &[0, 0, 0xC0, 0x7F][..]), (Dtype::F16, &[0, 0x7C]), (Dtype::BF16, &[0x80, 0xFF])]
    {
        let path = golden.write_weights(folder.path(), dtype, "");
        let mut bytes = std::fs::read(&path).unwrap();
        let (header, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let name = "vision_model.encoder.layers.1.mlp.fc2.bias";
        let start = 8 + header + metadata.info(name).unwrap().data_offsets.0 + 2 * nan.len();
        bytes[start..start + nan.len()].copy_from_slice(nan);
        std::fs::write(&path, bytes).unwrap();
        let error = Tower::open(&path).unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, Error::NotFinite { .. }), "{message}");
        assert!(message.contains(name) && message.contains(&path.display().to_string()), "{message}");
    }
}

#[test]
fn rejects_configurations_that_cannot_be_right() {
    for (key, value, part) in [
        ("model_type", json!("resnet"), "model_type"),
        ("hidden_act", json!("relu"), "hidden_act"),
        ("num_attention_heads", json!(5), "do not divide"),
        ("hidden_size", json!("wide"), "hidden_size"),
        ("hidden_size", json!(0), "zero"),
        ("layer_norm_eps", json!(-1), "layer_norm_eps"),
        ("image_size", json!(u64::MAX), "too large"),
        ("patch_size", json!([7, 8]), "patch_size"),
    ] {
        let mut golden = Golden::read("clip");
        golden.config[key] = value;
        let message = error_of(&golden);
        assert!(message.contains(part) && message.contains("config.json"), "{key}: {message}");
    }
    let mut golden = Golden::read("dinov2");
    golden.config["use_swiglu_ffn"] = json!(true);
    assert!(error_of(&golden).contains("use_swiglu_ffn"));
    let mut golden = Golden::read("clip");
    golden.preprocessor["image_mean"] = json!("grey");
    assert!(error_of(&golden).contains("image_mean"));
}

#[test]
fn infers_what_the_tensors_show_without_config() {
    let mut golden = Golden::read("dinov2_registers");
    // Heads of 64 channels, as in the published models.
    for shape in golden.tensors.values_mut() {
        shape.iter_mut().for_each(|side| *side = if *side == 32 || *side == 64 { *side * 2 } else { *side });
    }
    let folder = tempfile::tempdir().unwrap();
    let path = golden.write_weights(folder.path(), Dtype::F32, "");
    let tower = Tower::open(&path).unwrap();
    let config = tower.config();
    assert_eq!((config.family, config.width, config.depth, config.heads), (Family::Dinov2, 64, 2, 1));
    assert_eq!((config.mlp_width, config.patch, config.side, config.registers), (128, 7, 42, 3));
    assert!(tower.assumptions().iter().any(|assumed| assumed == "num_attention_heads = 1"));
    assert_eq!((tower.preprocessing().size, tower.preprocessing().shorter_side), (42, 48));

    let folder = tempfile::tempdir().unwrap();
    let path = Golden::read("clip").write_weights(folder.path(), Dtype::F32, "");
    let message = Tower::open(&path).unwrap_err().to_string();
    assert!(message.contains("num_attention_heads") && message.contains("put the model's config.json"), "{message}");
}

#[test]
fn rejects_calls_that_do_not_fit() {
    let (golden, folder) = (Golden::read("clip"), tempfile::tempdir().unwrap());
    let tower = Tower::open(&golden.write(folder.path())).unwrap();
    let pixels = golden.pixels();
    for (pixels, n, layers) in [
        (&pixels[1..], 2, &[0][..]),
        (&pixels[..], 3, &[0]),
        (&pixels[..], usize::MAX, &[0]),
        (&pixels[..], 2, &[2]),
        (&pixels[..], 2, &[]),
    ] {
        assert!(matches!(tower.features(pixels, n, layers), Err(Error::Input(_))), "{n} {layers:?}");
    }
    assert_eq!(tower.features(&[], 0, &[1]).unwrap().layers, Vec::<f32>::new());
}
