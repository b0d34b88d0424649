//! Pseudo-fakes of photographs (`ingest.align`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use artifacts::shard::Sample;
use artifacts::{Label, Split};
use pixels::encode::{Subsampling, jpeg};
use pixels::metadata::Compression;
use pixels::{Limits, decode};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::common::{Ingested, Workplace, expected_pixels, patches};

const ALIGN: &str = "align={}";

/// Adds 40 photographs of several sizes and qualities, and no fakes.
fn photographs(place: &Workplace) {
    for number in 0..40 {
        let image = patches(number, 40 + number % 17, 64 - number % 23);
        let subsampling = [Subsampling::Full, Subsampling::Quarter][number as usize % 2];
        place.add(&format!("real/{number}.jpg"), &jpeg(&image, 70 + number as u8 % 25, subsampling).unwrap());
    }
}

/// The images of all splits by path.
fn all_samples(ingested: &Ingested) -> BTreeMap<String, Sample> {
    let samples = Split::ALL.into_iter().flat_map(|split| ingested.samples(split));
    samples.map(|sample| (sample.path.clone(), sample)).collect()
}

#[test]
fn photographs_alone_give_both_classes() {
    let place = Workplace::new();
    photographs(&place);
    let ingested = place.ingest("run", &place.path("data"), &[ALIGN, "keep_files=true"]).done();
    let samples = all_samples(&ingested);
    assert_eq!(samples.len(), 80);
    let mut generators = BTreeSet::new();
    for sample in samples.values().filter(|sample| sample.label == Label::Fake) {
        let photograph = &samples[sample.photograph().unwrap()];
        assert_eq!(sample.path, format!("{}#{}", photograph.path, sample.generator));
        let same = |sample: &Sample| (sample.split, sample.width, sample.height, sample.format.clone());
        assert_eq!(same(sample), same(photograph));
        generators.insert(sample.generator.as_str());
    }
    let expected =
        ["bilinear", "nearest", "pixel_shuffle", "transposed_convolution"].map(|name| format!("reconstructed-{name}"));
    assert_eq!(generators, expected.iter().map(String::as_str).collect());
    assert!(ingested.summary().training_reconstructions().is_some());

    // The files of a pair are saved alike, and have other pixels.
    let mut files = BTreeMap::new();
    for split in Split::ALL {
        let shards = ingested.shards(split);
        for row in 0..shards.len() {
            let file = shards.file(row).unwrap();
            assert_eq!(shards.pixels(row), expected_pixels(file));
            files.insert(shards.sample(row).path.clone(), file.to_vec());
        }
    }
    for sample in samples.values().filter(|sample| sample.label == Label::Fake) {
        let (fake, photograph) = (&files[&sample.path], &files[sample.photograph().unwrap()]);
        assert_eq!(Compression::read(fake), Compression::read(photograph));
        let pixels = |file| decode(file, &Limits::default()).unwrap().rgb;
        let (fake, photograph) = (pixels(fake), pixels(photograph));
        let differences = fake.data().iter().zip(photograph.data()).map(|(a, b)| f64::from(a.abs_diff(*b)));
        let mean = differences.sum::<f64>() / fake.data().len() as f64;
        assert!((1.0..40.0).contains(&mean), "{}: {mean}", sample.path);
    }
}

#[test]
fn pairs_are_no_near_duplicates_and_are_not_dropped() {
    let place = Workplace::new();
    photographs(&place);
    place.add_near_duplicates();
    let plain = place.ingest("plain", &place.path("data"), &[]).done();
    let aligned = place.ingest("aligned", &place.path("data"), &[ALIGN]).done();
    assert_eq!(aligned.audit().near_duplicates, plain.audit().near_duplicates);
    assert_eq!(aligned.rejected(), plain.rejected());
    let dropped = place.ingest("dropped", &place.path("data"), &[ALIGN, "drop_near_duplicates=true"]).done();
    let samples = all_samples(&dropped);
    let photographs = samples.values().filter(|sample| sample.label == Label::Real).count();
    assert_eq!(samples.values().filter(|sample| sample.photograph().is_some()).count(), photographs);
    // Photographs and collected fakes are those of an ingest without pseudo-fakes.
    let others = all_samples(&aligned).into_iter().filter(|(_, sample)| sample.photograph().is_none());
    assert_eq!(others.collect::<BTreeMap<_, _>>(), all_samples(&plain));
}

#[test]
fn other_splits_have_no_pseudo_fakes() {
    let place = Workplace::new();
    place.add_splits(&["train", "test"], 12);
    let ingested = place.ingest("run", &place.path("data"), &["align={ splits = [\"train\", \"val\"] }"]).done();
    let reconstructed = |split| ingested.samples(split).iter().filter(|sample| sample.photograph().is_some()).count();
    assert_eq!(reconstructed(Split::Train) + reconstructed(Split::Val), 12);
    assert_eq!(reconstructed(Split::Test), 0);
}

#[test]
fn pseudo_fakes_depend_on_seed_and_content_only() {
    let place = Workplace::new();
    photographs(&place);
    let mixed =
        "align={ factors = [2, 4], mix_pixels = { probability = 0.5 }, mix_frequencies = { probability = 0.5 } }";
    for (case, set) in [ALIGN, mixed].into_iter().enumerate() {
        let run = |name: &str, set: &[&str], threads| {
            let set = [set, &["keep_files=true"]].concat();
            place.ingest_with_threads(&format!("{case}-{name}"), &place.path("data"), &set, threads)
        };
        let one = run("one", &[set], 1).done();
        assert!(one.files() == run("five", &[set], 5).done().files(), "{set}");
        assert!(one.files() != run("seed", &[set, "seed=5"], 5).done().files(), "{set}");
    }
}

/// Writes a tiny autoencoder with arbitrary weights. `crates/autoencoder` compares such ones with diffusers.
fn write_autoencoder(folder: &Path) -> PathBuf {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/autoencoder.json");
    let golden: serde_json::Value = serde_json::from_slice(&fs::read(golden).unwrap()).unwrap();
    let case = &golden["cases"][0];
    fs::write(folder.join("config.json"), case["config"].to_string()).unwrap();
    let mut tensors = Vec::new();
    for (name, shape) in case["tensors"].as_object().unwrap() {
        let shape: Vec<usize> = serde_json::from_value(shape.clone()).unwrap();
        let value = |at: usize| (at * 37 % 101) as f32 / 400.0 - 0.1;
        let data: Vec<u8> = (0..shape.iter().product()).flat_map(|at| value(at).to_le_bytes()).collect();
        tensors.push((name.clone(), shape, data));
    }
    let path = folder.join("vae.safetensors");
    let views = tensors
        .iter()
        .map(|(name, shape, data)| (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    safetensors::serialize_to_file(views, None, &path).unwrap();
    path
}

#[test]
fn an_autoencoder_reconstructs_photographs() {
    let place = Workplace::new();
    photographs(&place);
    let vae = write_autoencoder(&place.path(""));
    let align = format!("align={{ decoders = [\"vae\", \"nearest\"], vae = {vae:?}, vae_tile = 64 }}");
    let run = |name: &str, threads| place.ingest_with_threads(name, &place.path("data"), &[&align], threads).done();
    let one = run("one", 1);
    assert!(one.files() == run("five", 5).files());
    let is_by_vae = |sample: &&Sample| sample.generator == "reconstructed-vae";
    let by_vae = all_samples(&one).values().filter(is_by_vae).count();
    assert!((8..=32).contains(&by_vae), "{by_vae}");
    assert!(run("one", 1).message().contains("up to date"));
    // Other weights under the same name.
    let mut weights = fs::read(&vae).unwrap();
    *weights.last_mut().unwrap() ^= 1;
    fs::write(&vae, weights).unwrap();
    let plan = place.plan("one", &place.path("data"), &[&align]);
    assert!(plan.run && plan.reason.contains("vae"), "{}", plan.reason);
    fs::remove_file(&vae).unwrap();
    let message = place.ingest("none", &place.path("data"), &[&align]).failed(3);
    assert!(message.contains("ingest.align.vae: ") && message.contains("vae.safetensors"), "{message}");
}

#[test]
fn bad_values_name_the_key() {
    let place = Workplace::new();
    photographs(&place);
    for (set, expected) in [
        ("align.factors=[3]", "ingest.align.factors must be a list of 2, 4 and 8, but is [3]"),
        ("align.decoders=[]", "ingest.align.decoders must be"),
        ("align.decoders=[\"vea\"]", "vea"),
        ("align.mix_pixels.share=[0.5, 1.0]", "ingest.align.mix_pixels.share must be"),
        ("align.factor=2", "unknown field `factor`"),
    ] {
        let message = place.ingest("run", &place.path("data"), &[set]).failed(2);
        assert!(message.contains(expected), "{set}: {message}");
    }
}
