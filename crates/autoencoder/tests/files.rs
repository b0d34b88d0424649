//! Files that are not those of an autoencoder are refused by name.

use std::fs;

use autoencoder::Autoencoder;
use serde_json::json;

use crate::common::Golden;

#[test]
fn unsupported_configurations_and_weights_are_errors() {
    let golden = Golden::all().remove(0);
    let folder = tempfile::tempdir().unwrap();
    let path = golden.write(folder.path());
    let config = folder.path().join("config.json");
    let message = || Autoencoder::open(&path).unwrap_err().to_string();
    for (key, value, expected) in [
        ("_class_name", json!("AutoencoderTiny"), "`_class_name` is not AutoencoderKL"),
        ("block_out_channels", json!([]), "`block_out_channels` does not have 1 to 6 entries"),
        ("block_out_channels", json!([8, 16, 18]), "not divisible by `norm_num_groups`"),
        ("norm_num_groups", json!(0), "`norm_num_groups` is not from 1 to 4096"),
        ("layers_per_block", json!(1_000_000), "`layers_per_block` is not from 1 to 8"),
        ("latent_channels", json!(0), "`latent_channels` is not from 1 to 256"),
        ("down_block_types", json!(["AttnDownEncoderBlock2D"]), "blocks other than"),
        ("mid_block_add_attention", json!(false), "`mid_block_add_attention` is false"),
        ("act_fn", json!("relu"), "`act_fn` is not silu"),
        ("in_channels", json!("three"), "invalid type"),
        // A configuration of other weights.
        ("latent_channels", json!(5), "vae.safetensors` has no weights for the autoencoder"),
        ("block_out_channels", json!([8, 16, 20]), "vae.safetensors` has no weights for the autoencoder"),
    ] {
        let mut changed = golden.config.clone();
        changed[key] = value;
        fs::write(&config, changed.to_string()).unwrap();
        assert!(message().contains(expected), "{key}: {}", message());
    }
    fs::write(&config, golden.config.to_string()).unwrap();
    Autoencoder::open(&path).unwrap();
    let file = fs::read(&path).unwrap();
    for damaged in [&b"no weights"[..], &file[..file.len() / 2], &[0xff; 64]] {
        fs::write(&path, damaged).unwrap();
        assert!(message().contains("vae.safetensors`"), "{}", message());
    }
    fs::remove_file(&path).unwrap();
    assert!(message().contains("failed to read"), "{}", message());
    fs::remove_file(&config).unwrap();
    assert!(message().contains("config.json"), "{}", message());
}
