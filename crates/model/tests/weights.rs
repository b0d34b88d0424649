//! Tests reading and writing safetensors files, and parsing sources of weights.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use model::weights::{self, Source};
use model::{Error, Network, NetworkConfig};

use crate::common;

fn write(directory: &Path, tensors: &BTreeMap<String, Tensor>) -> PathBuf {
    let path = directory.join("weights.safetensors");
    safetensors::serialize_to_file(tensors, None, &path).unwrap();
    path
}

fn tensors(network: &Network) -> BTreeMap<String, Tensor> {
    network.parameters().unwrap().into_iter().chain(network.statistics().unwrap()).collect()
}

/// Returns a small network of 14 layers.
fn small_network(seed: u64) -> Network {
    let config = NetworkConfig { arch: "resnet14_patch".to_owned(), ..NetworkConfig::default() };
    let mut network = Network::new(&config, &model::device::Device::Cpu).unwrap();
    network.initialise(seed).unwrap();
    network
}

fn problems(error: Error) -> String {
    match error {
        Error::Weights(weights::Error::Mismatch { problems, .. }) => problems,
        other => panic!("{other}"),
    }
}

#[test]
fn load_restores_saved_network() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.safetensors");
    let saved = common::network(1);
    saved.save(&path, &BTreeMap::from([("epoch".to_owned(), "3".to_owned())])).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    weights::check(&path).unwrap();
    std::fs::write(directory.path().join("cut"), &bytes[..bytes.len() - 1]).unwrap();
    assert!(weights::check(&directory.path().join("cut")).is_err());
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(metadata.metadata().as_ref().unwrap()["epoch"], "3");
    assert_eq!(metadata.tensors()["bn1.num_batches_tracked"].dtype, safetensors::Dtype::I64);
    let mut read = common::network(2);
    let report = read.load(&path, &[]).unwrap();
    assert_eq!((report.loaded, report.head_replaced, report.missing.len()), (267, false, 0));
    for (name, tensor) in tensors(&saved) {
        assert_eq!(common::elements(&tensor), common::elements(&tensors(&read)[&name]), "{name}");
    }
}

#[test]
fn failed_save_reports_io_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("absent").join("model.safetensors");
    let error = common::network(1).save(&path, &BTreeMap::new()).unwrap_err();
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    assert_eq!(cause.map(std::io::Error::kind), Some(std::io::ErrorKind::NotFound), "{error}");
}

#[test]
fn load_keeps_head_with_other_number_of_classes() {
    let directory = tempfile::tempdir().unwrap();
    let config = NetworkConfig { classes: 7, ..NetworkConfig::default() };
    let seven = Network::new(&config, &model::device::Device::Cpu).unwrap();
    let path = write(directory.path(), &tensors(&seven));
    let mut two = common::network(5);
    let head = common::elements(&two.parameters().unwrap()["fc.weight"]);
    let report = two.load(&path, &[]).unwrap();
    assert!(report.head_replaced);
    assert_eq!(common::elements(&two.parameters().unwrap()["fc.weight"]), head);
}

#[test]
fn load_lists_missing_mis_shaped_and_unexpected_tensors() {
    let directory = tempfile::tempdir().unwrap();
    let mut network = common::network(1);
    let mut broken = tensors(&network);
    broken.remove("layer4.0.bn1.weight");
    broken.insert("layer2.0.conv1.weight".to_owned(), Tensor::zeros((3, 5), DType::F32, &Device::Cpu).unwrap());
    broken.insert("layer9.weight".to_owned(), Tensor::zeros(2, DType::F32, &Device::Cpu).unwrap());
    let path = write(directory.path(), &broken);
    let before = common::elements(&network.parameters().unwrap()["conv1.weight"]);
    let problems_found = problems(network.load(&path, &[]).unwrap_err());
    for part in ["layer4.0.bn1.weight [512] is missing", "layer2.0.conv1.weight has shape [3, 5]", "layer9.weight [2]"]
    {
        assert!(problems_found.contains(part), "{part} not in {problems_found}");
    }
    assert_eq!(common::elements(&network.parameters().unwrap()["conv1.weight"]), before);
    let allowed = problems(network.load(&path, &["layer4.".to_owned()]).unwrap_err());
    assert!(!allowed.contains("missing"), "{allowed}");
}

#[test]
fn load_leaves_out_a_common_prefix() {
    let directory = tempfile::tempdir().unwrap();
    let (source, mut network) = (small_network(1), small_network(2));
    let count = tensors(&source).len();
    for prefix in ["module.", "model.", "backbone.", "module.model."] {
        let prefixed: BTreeMap<String, Tensor> =
            tensors(&source).into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)).collect();
        let path = write(directory.path(), &prefixed);
        network.initialise(2).unwrap();
        let report = network.load(&path, &[]).unwrap();
        assert_eq!((report.loaded, report.head_replaced, report.prefix.as_str()), (count, false, prefix));
        for (name, tensor) in tensors(&source) {
            assert_eq!(common::elements(&tensor), common::elements(&tensors(&network)[&name]), "{prefix}{name}");
        }
    }
    // A head of its own, with other classes or beside the prefix.
    let head = |name: &str| name.starts_with("fc.");
    let (own, body): (BTreeMap<_, _>, BTreeMap<_, _>) = tensors(&source).into_iter().partition(|(name, _)| head(name));
    let mut outside: BTreeMap<String, Tensor> =
        body.into_iter().map(|(name, tensor)| (format!("encoder.{name}"), tensor)).collect();
    outside.extend(own);
    let report = network.load(&write(directory.path(), &outside), &[]).unwrap();
    assert_eq!((report.head_replaced, report.prefix.as_str()), (false, "encoder."));
    outside.remove("fc.weight");
    outside.remove("fc.bias");
    outside.insert("encoder.fc.0.weight".to_owned(), Tensor::zeros((3, 5), DType::F32, &Device::Cpu).unwrap());
    let path = write(directory.path(), &outside);
    assert!(network.load(&path, &[]).unwrap().head_replaced);

    // A file that does not fit without the prefix either.
    outside.retain(|name, _| !name.starts_with("encoder.layer3."));
    outside.insert("encoder.bn1.bias".to_owned(), Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap());
    outside.insert("projector.weight".to_owned(), Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap());
    let message = network.load(&write(directory.path(), &outside), &[]).unwrap_err().to_string();
    for part in ["without the prefix `encoder.`", "bn1.bias has shape [3]", "layer3.0", " more"] {
        assert!(message.contains(part), "{part} not in {message}");
    }
    assert!(message.len() < 1000, "{message}");
}

#[test]
fn load_names_file_and_tensor_that_is_not_finite() {
    let directory = tempfile::tempdir().unwrap();
    let (mut network, source) = (small_network(1), small_network(2));
    let before = common::elements(&network.parameters().unwrap()["conv1.weight"]);
    for (value, dtype) in [(f32::NAN, DType::F32), (f32::INFINITY, DType::F16), (f32::NEG_INFINITY, DType::BF16)] {
        for name in ["layer2.0.bn1.bias", "layer2.0.bn1.running_var"] {
            let mut broken = tensors(&source);
            let mut values = vec![0.5; tensors(&source)[name].elem_count()];
            values[7] = value;
            broken.insert(name.to_owned(), Tensor::new(values, &Device::Cpu).unwrap().to_dtype(dtype).unwrap());
            let path = write(directory.path(), &broken);
            let error = network.load(&path, &[]).unwrap_err();
            assert!(
                matches!(&error, Error::Weights(weights::Error::NotFinite { name: n, .. }) if n == name),
                "{error}"
            );
            let message = error.to_string();
            assert!(message.contains(&path.display().to_string()) && message.contains(name), "{message}");
        }
    }
    assert_eq!(common::elements(&network.parameters().unwrap()["conv1.weight"]), before);
}

#[test]
fn missing_file_that_looks_like_a_model_on_the_hub_is_explained() {
    let advice = |path: &str| {
        let error = std::io::Error::from(std::io::ErrorKind::NotFound);
        weights::hub_advice(Path::new(path), &error)
    };
    assert!(advice("timm/resnet50.tv_in1k").ends_with("`hf:timm/resnet50.tv_in1k`"));
    assert!(advice("timm/resnet50@main").ends_with("`hf:timm/resnet50@main`"));
    for path in ["resnet50", "/timm/resnet50", "./resnet50", "weights/model.safetensors", "a/b/c", "../resnet50"] {
        assert_eq!(advice(path), "", "{path}");
    }
    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    assert_eq!(weights::hub_advice(Path::new("timm/resnet50"), &denied), "");
}

#[test]
fn load_widens_half_precision() {
    for dtype in [DType::F16, DType::BF16] {
        let directory = tempfile::tempdir().unwrap();
        let source = common::network(1);
        let halves = tensors(&source).into_iter().map(|(name, t)| (name, t.to_dtype(dtype).unwrap())).collect();
        let mut network = common::network(2);
        network.load(&write(directory.path(), &halves), &[]).unwrap();
        let expected = common::elements(&halves["layer3.1.conv2.weight"].to_dtype(DType::F32).unwrap());
        assert_eq!(common::elements(&network.parameters().unwrap()["layer3.1.conv2.weight"]), expected);
    }
}

#[test]
fn load_rejects_other_types_and_damaged_files() {
    let directory = tempfile::tempdir().unwrap();
    let mut network = common::network(1);
    let mut doubled = tensors(&network);
    doubled.insert("bn1.bias".to_owned(), Tensor::zeros(64, DType::F64, &Device::Cpu).unwrap());
    let error = network.load(&write(directory.path(), &doubled), &[]).unwrap_err();
    assert!(matches!(&error, Error::Weights(weights::Error::Type { name, .. }) if name == "bn1.bias"), "{error}");
    let path = directory.path().join("broken");
    for bytes in [&b""[..], b"\x10\0\0\0\0\0\0\0{", b"\xff\xff\xff\xff\xff\xff\xff\xffxxxxxxxx"] {
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(network.load(&path, &[]), Err(Error::Weights(weights::Error::SafeTensors { .. }))));
    }
    assert!(matches!(
        network.load(&directory.path().join("absent"), &[]),
        Err(Error::Weights(weights::Error::Read { .. }))
    ));
}

#[test]
fn load_accepts_missing_last_stage_only_by_prefix() {
    let Some(path) = testing::shared("weights/resnet50-imagenet1k-stem-to-layer3.safetensors") else { return };
    let mut network = common::network(1);
    let listed = problems(network.load(&path, &[]).unwrap_err());
    assert!(listed.contains("layer4.0.conv1.weight") && !listed.contains("layer3"), "{listed}");
    let report = network.load(&path, &["layer4.".to_owned()]).unwrap();
    assert!(report.head_replaced && report.missing.iter().all(|name| name.starts_with("layer4.")));
}

#[test]
fn parses_sources_of_weights() {
    assert_eq!("none".parse::<Source>().unwrap(), Source::None);
    assert_eq!("hf:a/b".parse::<Source>().unwrap(), Source::Hub("hf:a/b".to_owned()));
    assert_eq!("x/y.safetensors".parse::<Source>().unwrap(), Source::Path("x/y.safetensors".into()));
    for wrong in ["", "hf:", "hf:owner", "hf:owner/../x", "hf:a/b@"] {
        assert!(wrong.parse::<Source>().is_err(), "{wrong}");
    }
    assert_eq!(Source::None.resolve().unwrap(), None);
}
