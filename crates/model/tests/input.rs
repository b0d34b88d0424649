//! Tests which batches, layers and configurations are accepted.

use model::{ArchitectureError, Error, InputError, Network, NetworkConfig, Normalisation, PixelBatch};

use crate::common;

#[test]
fn rejects_invalid_batches_and_labels() {
    let mut network = common::network(0);
    let data = common::pixels(2, 40, 40);
    let mut train = |n, height, width, labels: &[u8]| {
        network.train_step(&PixelBatch { data: &data, n, height, width }, labels).unwrap_err()
    };
    assert!(matches!(train(0, 40, 40, &[]), Error::Input(InputError::EmptyBatch)));
    assert!(matches!(train(2, 31, 40, &[0, 0]), Error::Input(InputError::ImageTooSmall { height: 31, .. })));
    assert!(matches!(
        train(2, 40, 41, &[0, 0]),
        Error::Input(InputError::BatchBytes { expected: 9840, actual: 9600, .. })
    ));
    assert!(matches!(train(usize::MAX, 40, 40, &[]), Error::Input(InputError::BatchBytes { .. })));
    assert!(matches!(train(2, 40, 40, &[0]), Error::Input(InputError::LabelCount { images: 2, labels: 1 })));
    assert!(matches!(
        train(2, 40, 40, &[0, 2]),
        Error::Input(InputError::LabelRange { index: 1, label: 2, classes: 2 })
    ));
}

#[test]
fn rejects_training_on_one_value_per_channel() {
    let mut network = common::network(0);
    let data = common::pixels(1, 32, 32);
    let batch = common::batch(&data, [1, 32, 32]);
    let before = common::elements(&network.statistics().unwrap()["bn1.running_mean"]);
    let error = network.train_step(&batch, &[0]).unwrap_err();
    assert!(
        matches!(&error, Error::Input(InputError::OneValuePerChannel { layer }) if layer == "layer4.0.bn2"),
        "{error}"
    );
    assert_eq!(common::elements(&network.statistics().unwrap()["bn1.running_mean"]), before);
    assert!(network.infer(&batch).unwrap().values.iter().all(|value| value.is_finite()));
}

#[test]
fn accepts_odd_image_sizes() {
    let mut network = common::network(0);
    for shape in [[1, 33, 65], [3, 32, 37], [2, 47, 32]] {
        let data = common::pixels(shape[0], shape[1], shape[2]);
        let batch = common::batch(&data, shape);
        let labels = vec![1; shape[0]];
        let step = network.train_step(&batch, &labels).unwrap();
        assert!(step.loss.is_finite() && step.logits.len() == shape[0]);
        let inferred = network.infer(&batch).unwrap();
        let (maps, logits) = network.grad_cam(&batch, &vec![0; shape[0]], "layer3").unwrap();
        for (a, b) in inferred.values.iter().zip(&logits.values) {
            assert!((a - b).abs() <= 1e-4 * a.abs().max(1.0), "folded {a}, unfolded {b}");
        }
        assert_eq!((maps[0].height, maps[0].width), (shape[1].div_ceil(16), shape[2].div_ceil(16)));
    }
}

#[test]
fn grad_cam_rejects_unknown_layers_and_classes() {
    let mut network = common::network(0);
    let data = common::pixels(1, 32, 32);
    let batch = common::batch(&data, [1, 32, 32]);
    assert!(matches!(
        network.grad_cam(&batch, &[0], "layer5"),
        Err(Error::Architecture(ArchitectureError::UnknownLayer { .. }))
    ));
    assert!(matches!(network.grad_cam(&batch, &[2], "layer4"), Err(Error::Input(InputError::LabelRange { .. }))));
    assert!(matches!(network.grad_cam(&batch, &[], "layer4"), Err(Error::Input(InputError::LabelCount { .. }))));
}

#[test]
fn rejects_invalid_configurations() {
    let error_for = |arch: &str, classes| {
        let config = NetworkConfig { arch: arch.to_owned(), classes, ..NetworkConfig::default() };
        Network::new(&config, &model::device::Device::Cpu).unwrap_err()
    };
    assert!(matches!(error_for("resnet51", 2), Error::Architecture(ArchitectureError::Unknown { .. })));
    assert!(matches!(error_for("resnet50", 1), Error::Architecture(ArchitectureError::Classes(1))));
    for (mean, std) in [(0.5, 0.0), (0.5, -1.0), (0.5, f32::INFINITY), (f32::NAN, 1.0)] {
        let normalisation = Normalisation { mean: [mean; 3], std: [std; 3] };
        let config = NetworkConfig { normalisation, ..NetworkConfig::default() };
        let error = Network::new(&config, &model::device::Device::Cpu).unwrap_err();
        assert!(matches!(error, Error::Architecture(ArchitectureError::Normalisation(_))), "{error}");
    }
}
