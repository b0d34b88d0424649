//! A detector of branches that see resized images as a graph of ONNX operators.

use branches::{ImageBranch, ImageNetwork};
use safetensors::SafeTensors;
use serde_json::{Map, Value, json};

use super::builder::{Builder, INPUT};
use super::messages::GraphProto;
use super::{resnet, vit};

/// The name of the input of a ResNet beside a transformer.
const RESNET_INPUT: &str = "resnet_pixel_values";

/// Returns the graph. `weights` is the checkpoint's `model.safetensors`. Each branch has an input of its own.
///
/// # Errors
/// A tensor of a ResNet is missing.
pub(crate) fn graph(branches: &[ImageBranch], weights: &SafeTensors<'_>) -> Result<GraphProto, String> {
    let mut builder = Builder::default();
    let total: f64 = branches.iter().map(|branch| branch.weight).sum();
    let mut fused: Option<String> = None;
    for (index, branch) in branches.iter().enumerate() {
        let margin = match &branch.network {
            ImageNetwork::Vit(vit) => vit::margin(&mut builder, vit),
            ImageNetwork::Resnet(resnet) => {
                let shape = [3, resnet.side, resnet.side];
                builder.input(RESNET_INPUT, &shape, "RGB images for the ResNet, normalised");
                resnet::margin(&mut builder, resnet, weights, RESNET_INPUT)?
            }
        };
        // Without any weight, the margin is 0.
        let share = if total > 0.0 { branch.weight / total } else { 0.0 };
        let share = builder.floats(&format!("fusion.{index}"), &[], &[share as f32]);
        let own = builder.node("Mul", "fusion", &[&margin, &share], Vec::new());
        fused = Some(match fused {
            Some(fused) => builder.node("Add", "fusion", &[&fused, &own], Vec::new()),
            None => own,
        });
    }
    let halves = builder.floats("fusion.halves", &[1, 2], &[-0.5, 0.5]);
    builder.output("Mul", &[&fused.unwrap_or_default(), &halves], Vec::new());
    Ok(builder.graph("branches", 2))
}

/// Describes how the pictures of each input are made.
pub(crate) fn preprocessing(branches: &[ImageBranch]) -> Value {
    let of_branch = |branch: &ImageBranch| match &branch.network {
        ImageNetwork::Vit(vit) => {
            let mut preprocessing = json!(vit.tower.preprocessing);
            preprocessing["parts"] = json!(vit.parts);
            (INPUT.to_owned(), preprocessing)
        }
        ImageNetwork::Resnet(resnet) => {
            let preprocessing = json!({
                "size": resnet.side,
                "fit": "crop",
                "shorter_side": resnet.side,
                "filter": "bicubic",
                "mean": resnet.normalisation.mean,
                "std": resnet.normalisation.std,
                "parts": 1,
            });
            (RESNET_INPUT.to_owned(), preprocessing)
        }
    };
    Value::Object(branches.iter().map(of_branch).collect::<Map<_, _>>())
}
