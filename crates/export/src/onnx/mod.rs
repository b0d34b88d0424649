//! A trained model as an ONNX file: <https://onnx.ai/onnx/repo-docs/IR.html>.
//!
//! A ResNet (`resnet`), or a detector of branches that see resized images (`image_branches`): a vision transformer (`vit`),
//! a ResNet, or both. The inputs are batches of normalised RGB images, and the output the logits. Batch normalisation uses
//! the running statistics. The metadata have the order of the classes, the preprocessing, and what `candling.json` says.

mod builder;
mod image_branches;
mod messages;
mod resnet;
mod vit;

use std::fs;
use std::path::Path;

use artifacts::atomic;
use branches::{BranchName, Description, ImageBranch};
use model::graph::Graph;
use prost::Message;
use safetensors::SafeTensors;
use serde_json::json;

use self::messages::{IR_VERSION, ModelProto, OPSET, OperatorSetId, StringStringEntry};
use crate::error::Error;
use crate::source::Source;

/// The largest message that readers of the format accept.
const MAX_BYTES: usize = i32::MAX as usize;

/// Writes a model to a file and returns its size in bytes.
///
/// # Errors
/// The format cannot express the model, its weights are not those of its architecture, or the file cannot be written.
pub(crate) fn write(source: &Source, path: &Path) -> Result<u64, Error> {
    if path.is_dir() {
        return Err(Error::Target { path: path.to_owned(), detail: "is a folder, but ONNX is one file" });
    }
    let model = model(source)?;
    if model.encoded_len() > MAX_BYTES {
        let detail = "it would be larger than 2 GB, which the format does not allow".to_owned();
        return Err(Error::Weights { path: source.checkpoint.weights(), detail });
    }
    let bytes = model.encode_to_vec();
    atomic::write_file(path, &bytes)?;
    Ok(bytes.len() as u64)
}

fn model(source: &Source) -> Result<ModelProto, Error> {
    let entry = |key: &str, value: String| StringStringEntry { key: key.to_owned(), value };
    let path = source.checkpoint.weights();
    let unfit = |detail: String| Error::Weights { path: path.clone(), detail };
    let bytes = fs::read(&path).map_err(artifacts::Error::io("read", &path))?;
    let weights = SafeTensors::deserialize(&bytes).map_err(|error| unfit(error.to_string()))?;
    let (graph, preprocessing, input) = match &source.branches {
        None => {
            let architecture = &source.model.architecture;
            let layers = Graph::of(architecture).map_err(|error| unfit(error.to_string()))?;
            let size = [source.preprocessing.size.height, source.preprocessing.size.width];
            let graph =
                resnet::graph(architecture, &layers, &weights, size, source.model.num_classes).map_err(unfit)?;
            let preprocessing = entry("preprocessor_config", json!(source.preprocessing).to_string());
            (
                graph,
                preprocessing,
                "resized as preprocessor_config in the metadata says, as (byte * rescale_factor - image_mean) / image_std",
            )
        }
        Some(description) => {
            let branches = image_branches(source, description)?;
            let graph = image_branches::graph(&branches, &weights).map_err(unfit)?;
            let preprocessing = entry("preprocessing", image_branches::preprocessing(&branches).to_string());
            (graph, preprocessing, "prepared as preprocessing in the metadata says, as (byte / 255 - mean) / std")
        }
    };
    Ok(ModelProto {
        ir_version: IR_VERSION,
        producer_name: "candling".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: format!(
            "Tells photographs from AI-generated images. Input: RGB images, {input}. Output: logits in the order of \
             id2label."
        ),
        graph: Some(graph),
        opset_import: vec![OperatorSetId { domain: String::new(), version: OPSET }],
        metadata_props: vec![
            entry("architecture", source.model.architecture.clone()),
            entry("id2label", json!(source.model.id2label).to_string()),
            entry("candling", json!(source.info).to_string()),
            preprocessing,
        ],
    })
}

/// # Errors
/// Branches that do not see resized images take part in the verdict. The error names them.
fn image_branches(source: &Source, description: &Description) -> Result<Vec<ImageBranch>, Error> {
    let reason = |branch: BranchName| Some(format!("\n  {branch}: {}", why_not(branch)?));
    ImageBranch::read_all(&source.checkpoint, description)?
        .ok_or_else(|| Error::Branch { reasons: description.model.fused_branches().filter_map(reason).collect() })
}

/// Returns why a branch has no ONNX form. `None` if it has one.
fn why_not(branch: BranchName) -> Option<&'static str> {
    match branch {
        BranchName::Patches => Some("its windows are chosen in the picture at native resolution, whose size varies"),
        BranchName::Frequency => {
            Some("its statistics are computed of the picture at native resolution, whose size varies")
        }
        BranchName::Metadata => {
            Some("it reads the container and the metadata of the file, which a network does not see")
        }
        _ => None,
    }
}
