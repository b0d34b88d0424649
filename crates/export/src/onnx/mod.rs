//! A ResNet as an ONNX file: <https://onnx.ai/onnx/repo-docs/IR.html>.
//!
//! The input is a batch of normalised RGB images, and the output the logits. Batch normalisation uses the running
//! statistics. The metadata have the order of the classes, the preprocessing, and what `candling.json` says.

mod messages;
mod network;

use std::fs;
use std::path::Path;

use artifacts::atomic;
use branches::BranchName;
use model::graph::Graph;
use prost::Message;
use safetensors::SafeTensors;
use serde_json::json;

use self::messages::{IR_VERSION, ModelProto, OPSET, OperatorSetId, StringStringEntry};
use self::network::graph;
use crate::error::Error;
use crate::source::Source;

/// Writes a model to a file and returns its size in bytes.
///
/// # Errors
/// The model is no ResNet, its weights are not those of its architecture, or the file cannot be written.
pub(crate) fn write(source: &Source, path: &Path) -> Result<u64, Error> {
    if path.is_dir() {
        return Err(Error::Target { path: path.to_owned(), detail: "is a folder, but ONNX is one file" });
    }
    let bytes = model(source)?.encode_to_vec();
    atomic::write_file(path, &bytes)?;
    Ok(bytes.len() as u64)
}

fn model(source: &Source) -> Result<ModelProto, Error> {
    if let Some(description) = &source.branches {
        let reason = |branch: &BranchName| format!("\n  {branch}: {}", why_not(*branch));
        return Err(Error::Branch { reasons: description.model.branches.iter().map(reason).collect() });
    }
    let path = source.checkpoint.weights();
    let unfit = |detail: String| Error::Weights { path: path.clone(), detail };
    let architecture = &source.model.architecture;
    let layers = Graph::of(architecture).map_err(|error| unfit(error.to_string()))?;
    let bytes = fs::read(&path).map_err(artifacts::Error::io("read", &path))?;
    let weights = SafeTensors::deserialize(&bytes).map_err(|error| unfit(error.to_string()))?;
    let size = &source.preprocessing.size;
    let graph =
        graph(architecture, &layers, &weights, [size.height, size.width], source.model.num_classes).map_err(unfit)?;
    let entry = |key: &str, value: String| StringStringEntry { key: key.to_owned(), value };
    Ok(ModelProto {
        ir_version: IR_VERSION,
        producer_name: "candling".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: "Tells photographs from AI-generated images. Input: RGB images, resized as preprocessor_config in \
                     the metadata says, as (byte * rescale_factor - image_mean) / image_std. Output: logits in the \
                     order of id2label."
            .to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSetId { domain: String::new(), version: OPSET }],
        metadata_props: vec![
            entry("architecture", architecture.clone()),
            entry("id2label", json!(source.model.id2label).to_string()),
            entry("preprocessor_config", json!(source.preprocessing).to_string()),
            entry("candling", json!(source.info).to_string()),
        ],
    })
}

/// Returns why a branch has no ONNX form.
fn why_not(branch: BranchName) -> &'static str {
    match branch {
        BranchName::Vit => "the features of several views of the picture, each resized, are not part of one graph",
        BranchName::Patches => "its windows are chosen in the picture at native resolution, whose size varies",
        BranchName::Frequency => "its statistics are computed of the picture at native resolution, whose size varies",
        BranchName::Metadata => "it reads the container and the metadata of the file, which a network does not see",
        _ => "a ResNet can only be the single branch of a detector",
    }
}
