//! Collects the nodes and tensors of an ONNX graph.

use super::messages::{
    AttributeProto, AttributeType, Dimension, DimensionValue, FLOAT, GraphProto, INT64, NodeProto, TensorProto,
    TensorShape, TensorType, TypeProto, ValueInfo,
};

/// The name of the input, as in transformers.
pub(crate) const INPUT: &str = "pixel_values";
/// The name of the output.
pub(crate) const OUTPUT: &str = "logits";

/// The nodes and tensors so far.
#[derive(Default)]
pub(crate) struct Builder {
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    inputs: Vec<ValueInfo>,
}

impl Builder {
    /// Adds an operation of a layer and returns the name of its output.
    pub(crate) fn node(
        &mut self,
        operator: &str,
        layer: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        // A layer may have several nodes of the same operator.
        let name = format!("{layer}/{operator}_{}", self.nodes.len());
        self.named_node(operator, &name, inputs, attributes);
        name
    }

    /// Adds an operation whose output is the network's.
    pub(crate) fn output(&mut self, operator: &str, inputs: &[&str], attributes: Vec<AttributeProto>) {
        self.named_node(operator, OUTPUT, inputs, attributes);
    }

    fn named_node(&mut self, operator: &str, name: &str, inputs: &[&str], attribute: Vec<AttributeProto>) {
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![name.to_owned()],
            name: name.to_owned(),
            op_type: operator.to_owned(),
            attribute,
        });
    }

    /// Adds a tensor of 32-bit floats in little-endian order and returns its name.
    pub(crate) fn bytes(&mut self, name: &str, shape: &[usize], raw_data: Vec<u8>) -> String {
        self.tensor(name, shape, FLOAT, raw_data)
    }

    /// Adds a tensor of floats and returns its name.
    pub(crate) fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        self.tensor(name, shape, FLOAT, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// Adds a tensor of whole numbers and returns its name.
    pub(crate) fn integers(&mut self, name: &str, shape: &[usize], values: &[i64]) -> String {
        self.tensor(name, shape, INT64, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn tensor(&mut self, name: &str, shape: &[usize], data_type: i32, raw_data: Vec<u8>) -> String {
        let dims = shape.iter().map(|&side| side as i64).collect();
        self.initializers.push(TensorProto { dims, data_type, name: name.to_owned(), raw_data });
        name.to_owned()
    }

    /// Adds an input. `shape` is that of one image.
    pub(crate) fn input(&mut self, name: &str, shape: &[usize], doc: &str) {
        self.inputs.push(value(name, shape, doc));
    }

    /// The graph, with `classes` logits.
    pub(crate) fn graph(self, name: &str, classes: usize) -> GraphProto {
        GraphProto {
            node: self.nodes,
            name: name.to_owned(),
            initializer: self.initializers,
            input: self.inputs,
            output: vec![value(OUTPUT, &[classes], "the logit of each class")],
        }
    }
}

/// An input or output for any number of images.
fn value(name: &str, shape: &[usize], doc_string: &str) -> ValueInfo {
    let images = Dimension { value: Some(DimensionValue::Free("N".to_owned())) };
    let size = |&size: &usize| Dimension { value: Some(DimensionValue::Size(size as i64)) };
    let shape = Some(TensorShape { dim: std::iter::once(images).chain(shape.iter().map(size)).collect() });
    let r#type = Some(TypeProto { tensor_type: Some(TensorType { elem_type: FLOAT, shape }) });
    ValueInfo { name: name.to_owned(), r#type, doc_string: doc_string.to_owned() }
}

pub(crate) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    let r#type = AttributeType::Ints.into();
    AttributeProto { name: name.to_owned(), ints: values.to_vec(), r#type, ..AttributeProto::default() }
}

pub(crate) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), i, r#type: AttributeType::Int.into(), ..AttributeProto::default() }
}

pub(crate) fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: name.to_owned(), f, r#type: AttributeType::Float.into(), ..AttributeProto::default() }
}

/// Checks that each input of a node is a tensor, an input of the graph or the output of an earlier node, that names are
/// unique, and that the graph has its output.
#[cfg(test)]
#[track_caller]
pub(crate) fn assert_connected(graph: &GraphProto) {
    let mut known: std::collections::BTreeSet<&str> = graph.input.iter().map(|input| input.name.as_str()).collect();
    assert!(graph.initializer.iter().all(|tensor| known.insert(&tensor.name)));
    for node in &graph.node {
        assert!(node.input.iter().all(|input| known.contains(input.as_str())), "{node:?}");
        assert!(node.output.iter().all(|output| known.insert(output)), "{node:?}");
    }
    assert!(known.contains(OUTPUT));
}
