//! A ResNet as a graph of ONNX operators.

use branches::ResnetTensors;
use kernels::batch_norm::EPSILON;
use model::graph::{Graph, GraphBlock, GraphConv};
use safetensors::{Dtype, SafeTensors};

use super::builder::{Builder, INPUT, float, int, ints};
use super::messages::GraphProto;

/// Returns the graph of a ResNet with these weights, for any number of images of 3 x `height` x `width` values.
///
/// # Errors
/// A tensor is missing, or its elements are not 32-bit floats. The message names it.
pub(crate) fn graph(
    architecture: &str,
    layers: &Graph,
    weights: &SafeTensors<'_>,
    [height, width]: [usize; 2],
    classes: usize,
) -> Result<GraphProto, String> {
    let mut builder = Builder::default();
    builder.input(INPUT, &[3, height, width], "RGB images, normalised");
    let mut network = ResnetBuilder { weights, prefix: "", builder: &mut builder };
    let features = network.features(layers, INPUT)?;
    let [weight, bias] = ["weight", "bias"].map(|tensor| format!("{}.{tensor}", layers.head));
    let (weight, bias) = (network.initializer(&weight)?, network.initializer(&bias)?);
    builder.output("Gemm", &[&features, &weight, &bias], vec![int("transB", 1)]);
    Ok(builder.graph(architecture, classes))
}

/// Adds a ResNet that is a branch, on images in `input`. Returns the name of its margins, `[N, 1]`.
///
/// # Errors
/// As [`graph`], or the architecture is unknown.
pub(crate) fn margin(
    builder: &mut Builder,
    resnet: &ResnetTensors,
    weights: &SafeTensors<'_>,
    input: &str,
) -> Result<String, String> {
    let ResnetTensors { architecture, prefix, weight, bias, .. } = resnet;
    let layers = Graph::of(architecture).map_err(|error| error.to_string())?;
    let features = ResnetBuilder { weights, prefix, builder }.features(&layers, input)?;
    let weight = builder.floats(&format!("{prefix}evidence.weight"), &[weight.len(), 1], weight);
    let bias = builder.floats(&format!("{prefix}evidence.bias"), &[1], &[*bias]);
    Ok(builder.node("Gemm", &format!("{prefix}evidence"), &[&features, &weight, &bias], Vec::new()))
}

/// The graph so far, and the weights.
struct ResnetBuilder<'a> {
    weights: &'a SafeTensors<'a>,
    /// The prefix of the names of tensors in the weights.
    prefix: &'a str,
    builder: &'a mut Builder,
}

impl ResnetBuilder<'_> {
    /// Adds all layers but the head, and returns the name of the features, `[N, features]`.
    fn features(&mut self, layers: &Graph, input: &str) -> Result<String, String> {
        let stem = self.conv_norm(&layers.stem, input)?;
        let stem = self.builder.node("Relu", &layers.stem.norm, &[&stem], Vec::new());
        let pool = vec![ints("kernel_shape", &[3; 2]), ints("strides", &[2; 2]), ints("pads", &[1; 4])];
        let mut x = self.builder.node("MaxPool", "maxpool", &[&stem], pool);
        for block in &layers.blocks {
            x = self.block(block, &x)?;
        }
        let x = self.builder.node("GlobalAveragePool", "avgpool", &[&x], Vec::new());
        Ok(self.builder.node("Flatten", "flatten", &[&x], vec![int("axis", 1)]))
    }

    /// Adds a residual block and returns the name of its output.
    fn block(&mut self, block: &GraphBlock, input: &str) -> Result<String, String> {
        let mut x = input.to_owned();
        let mut name = "";
        for (i, layer) in block.main.iter().enumerate() {
            if i > 0 {
                x = self.builder.node("Relu", name, &[&x], Vec::new());
            }
            x = self.conv_norm(layer, &x)?;
            name = &layer.norm;
        }
        let shortcut = match &block.downsample {
            Some(layer) => self.conv_norm(layer, input)?,
            None => input.to_owned(),
        };
        let sum = self.builder.node("Add", name, &[&x, &shortcut], Vec::new());
        Ok(self.builder.node("Relu", name, &[&sum], Vec::new()))
    }

    /// Adds a convolution and its normalisation with the running statistics, and returns the name of the output.
    fn conv_norm(&mut self, layer: &GraphConv, input: &str) -> Result<String, String> {
        let GraphConv { conv, norm, kernel, stride, padding } = layer;
        let weight = self.initializer(&format!("{conv}.weight"))?;
        let attributes = vec![
            ints("kernel_shape", &[*kernel as i64; 2]),
            ints("strides", &[*stride as i64; 2]),
            ints("pads", &[*padding as i64; 4]),
        ];
        let x = self.builder.node("Conv", conv, &[input, &weight], attributes);
        let mut tensors = Vec::new();
        for tensor in ["weight", "bias", "running_mean", "running_var"] {
            tensors.push(self.initializer(&format!("{norm}.{tensor}"))?);
        }
        let mut inputs = vec![x.as_str()];
        inputs.extend(tensors.iter().map(String::as_str));
        let attributes = vec![float("epsilon", EPSILON as f32), int("training_mode", 0)];
        Ok(self.builder.node("BatchNormalization", norm, &inputs, attributes))
    }

    /// Adds a tensor of the weights and returns its name.
    fn initializer(&mut self, name: &str) -> Result<String, String> {
        let name = format!("{}{name}", self.prefix);
        let tensor = self.weights.tensor(&name).map_err(|error| error.to_string())?;
        if tensor.dtype() != Dtype::F32 {
            return Err(format!("the tensor `{name}` has elements of type {:?}, not F32", tensor.dtype()));
        }
        Ok(self.builder.bytes(&name, tensor.shape(), tensor.data().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use safetensors::tensor::TensorView;

    use super::super::builder::assert_connected;
    use super::*;

    /// The tensors of a network of one block, with one channel.
    fn weights(without: &str) -> Vec<u8> {
        let ones = [0_u8, 0, 128, 63].repeat(9);
        let names = ["conv1", "block.conv1"].map(|conv| (format!("{conv}.weight"), vec![1, 1, 3, 3]));
        let norms = ["bn1", "block.bn1"].into_iter().flat_map(|norm| {
            ["weight", "bias", "running_mean", "running_var"].map(|tensor| (format!("{norm}.{tensor}"), vec![1]))
        });
        let head = [("fc.weight".to_owned(), vec![2, 1]), ("fc.bias".to_owned(), vec![2])];
        let tensors: BTreeMap<String, TensorView<'_>> = names
            .into_iter()
            .chain(norms)
            .chain(head)
            .filter(|(name, _)| name != without)
            .map(|(name, shape)| {
                let bytes = &ones[..4 * shape.iter().product::<usize>()];
                (name, TensorView::new(Dtype::F32, shape, bytes).unwrap())
            })
            .collect();
        safetensors::serialize(tensors, None).unwrap()
    }

    fn layers() -> Graph {
        let conv = |conv: &str, norm: &str| GraphConv {
            conv: conv.to_owned(),
            norm: norm.to_owned(),
            kernel: 3,
            stride: 1,
            padding: 1,
        };
        let block = GraphBlock { main: vec![conv("block.conv1", "block.bn1")], downsample: None };
        Graph { stem: conv("conv1", "bn1"), blocks: vec![block], head: "fc".to_owned() }
    }

    #[test]
    fn each_input_of_a_node_exists_before_it() {
        let bytes = weights("");
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let graph = graph("tiny", &layers(), &tensors, [32, 48], 2).unwrap();
        let operators: Vec<&str> = graph.node.iter().map(|node| node.op_type.as_str()).collect();
        let stem = ["Conv", "BatchNormalization", "Relu", "MaxPool"];
        let rest = ["Conv", "BatchNormalization", "Add", "Relu", "GlobalAveragePool", "Flatten", "Gemm"];
        assert_eq!(operators, [&stem[..], &rest].concat());
        assert_connected(&graph);
    }

    #[test]
    fn names_a_missing_tensor() {
        let bytes = weights("block.bn1.running_var");
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let error = graph("tiny", &layers(), &tensors, [32, 32], 2).unwrap_err();
        assert!(error.contains("block.bn1.running_var"), "{error}");
    }
}
