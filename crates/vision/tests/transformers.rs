//! Compares towers with Hugging Face's transformers, using golden values from `tests/golden/vision.py`.

use kernels::cpu::Isa;
use safetensors::Dtype;
use vision::{Precision, Tower};

use crate::common::{CASES, Golden, assert_close};

const TOLERANCE: f64 = 1e-5;

fn all_layers(tower: &Tower) -> Vec<usize> {
    (0..tower.config().depth).collect()
}

#[test]
fn features_and_pooled_outputs_match_transformers() {
    for case in CASES {
        let (golden, folder) = (Golden::read(case), tempfile::tempdir().unwrap());
        let tower = Tower::open(&golden.write(folder.path())).unwrap();
        assert!(tower.assumptions().is_empty());
        let features = tower.features(&golden.pixels(), golden.images, &all_layers(&tower)).unwrap();
        assert_close(&features.layers, &golden.features, TOLERANCE, case);
        let pooled = features.pooled.unwrap();
        assert_close(&pooled, &golden.pooled, TOLERANCE, case);
        assert_eq!(pooled.len(), golden.images * tower.config().pooled_width().unwrap());
    }
}

#[test]
fn bf16_products_are_near_f32() {
    if Isa::detect_bf16().is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = Golden::read("clip").write(folder.path());
        assert!(Tower::open_in(&path, Precision::Bf16).unwrap_err().to_string().contains("use f32"));
        return;
    }
    for case in CASES {
        let (golden, folder) = (Golden::read(case), tempfile::tempdir().unwrap());
        let tower = Tower::open_in(&golden.write(folder.path()), Precision::Bf16).unwrap();
        let features = tower.features(&golden.pixels(), golden.images, &all_layers(&tower)).unwrap();
        assert_close(&features.layers, &golden.features, 0.02, case);
        assert_close(&features.pooled.unwrap(), &golden.pooled, 0.03, case);
    }
}

#[test]
fn images_do_not_depend_on_each_other_or_on_earlier_calls() {
    let (golden, folder) = (Golden::read("clip"), tempfile::tempdir().unwrap());
    let tower = Tower::open(&golden.write(folder.path())).unwrap();
    let pixels = golden.pixels();
    let image = pixels.len() / golden.images;
    // More images than are computed together.
    let many: Vec<u8> = (0..21).flat_map(|i| pixels[i % 2 * image..][..image].to_vec()).collect();
    let all = tower.features(&many, 21, &[1, 0]).unwrap();
    let row = all.layers.len() / 21;
    for i in 0..21 {
        let one = tower.features(&pixels[i % 2 * image..][..image], 1, &[1, 0]).unwrap();
        assert_eq!(one.layers, all.layers[i * row..][..row]);
        assert_eq!(one.pooled.unwrap(), all.pooled.as_ref().unwrap()[i * 24..][..24]);
    }
    let first = tower.features(&pixels, 2, &[0]).unwrap();
    assert_eq!(first.pooled, None);
    assert_eq!(first.layers[..row / 2], all.layers[row / 2..row]);
}

#[test]
fn reads_half_precision_and_names_with_the_prefix_of_whole_models() {
    let golden = Golden::read("siglip");
    for (dtype, tolerance) in [(Dtype::F32, TOLERANCE), (Dtype::F16, 0.01), (Dtype::BF16, 0.1)] {
        let folder = tempfile::tempdir().unwrap();
        golden.write(folder.path());
        let tower = Tower::open(&golden.write_weights(folder.path(), dtype, "vision_model.")).unwrap();
        let features = tower.features(&golden.pixels(), golden.images, &all_layers(&tower)).unwrap();
        assert_close(&features.layers, &golden.features, tolerance, &format!("{dtype:?}"));
    }
}
