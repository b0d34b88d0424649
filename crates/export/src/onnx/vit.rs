//! A vision transformer with its head as ONNX operators.

use branches::{HeadTensors, VitTensors};
use vision::{Activation, BlockTensors, EmbeddingTensors, Module, TowerConfig, TowerTensors, TransformerBlock};

use super::builder::{Builder, INPUT, float, int, ints};
use super::messages::AttributeProto;

/// Below every length of a vector that is not zero.
const TINY_LENGTH: f32 = 1e-30;

/// Adds the input and the nodes of a transformer. The input is, for each image, `[3, side, side]`, or
/// `[parts, 3, side, side]` if the transformer looks at several parts of it. Returns the name of the margins, `[N, 1]`.
pub(crate) fn margin(builder: &mut Builder, vit: &VitTensors) -> String {
    let TowerTensors { config, preprocessing, embedding, norm_before, blocks } = &vit.tower;
    let side = preprocessing.size;
    let image = [3, side, side];
    let shape = if vit.parts == 1 { image.to_vec() } else { [&[vit.parts][..], &image].concat() };
    builder.input(INPUT, &shape, "RGB images, or the parts of each, normalised");
    let mut builder = VitBuilder { config, builder };
    let parts = builder.parts(vit.parts, side);
    let mut x = builder.embed(embedding, &parts, side);
    if let Some(norm) = norm_before {
        x = builder.norm("norm_before", norm, &x);
    }
    let depth = vit.layers.iter().max().map_or(0, |last| last + 1);
    let mut summaries = vec![Vec::new(); depth];
    for (number, block) in blocks[..depth].iter().enumerate() {
        x = builder.block(&format!("blocks.{number}"), block, &x);
        if vit.layers.contains(&number) {
            summaries[number] = builder.summaries(number, &x);
        }
    }
    let features: Vec<&str> = vit.layers.iter().flat_map(|&layer| &summaries[layer]).map(String::as_str).collect();
    let features = builder.node("Concat", "features", &features, vec![int("axis", 1)]);
    let margins = builder.head(&vit.head, &features);
    builder.mean(&margins, vit.parts)
}

/// The graph so far.
struct VitBuilder<'a> {
    config: &'a TowerConfig,
    builder: &'a mut Builder,
}

impl VitBuilder<'_> {
    fn node(&mut self, operator: &str, layer: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        self.builder.node(operator, layer, inputs, attributes)
    }

    /// A constant that is combined with each element.
    fn scalar(&mut self, name: &str, value: f32) -> String {
        self.builder.floats(name, &[], &[value])
    }

    fn reshape(&mut self, layer: &str, x: &str, shape: &[i64]) -> String {
        let shape = self.builder.integers(&format!("{layer}.shape"), &[shape.len()], shape);
        self.node("Reshape", layer, &[x, &shape], Vec::new())
    }

    fn transpose(&mut self, layer: &str, x: &str, order: &[i64]) -> String {
        self.node("Transpose", layer, &[x], vec![ints("perm", order)])
    }

    /// The parts of all images in one batch, `[parts of the batch, 3, side, side]`.
    fn parts(&mut self, parts: usize, side: usize) -> String {
        if parts == 1 {
            return INPUT.to_owned();
        }
        self.reshape("parts", INPUT, &[-1, 3, side as i64, side as i64])
    }

    /// The tokens, `[parts of the batch, tokens, width]`.
    fn embed(&mut self, embedding: &EmbeddingTensors, pixels: &str, side: usize) -> String {
        let TowerConfig { width, patch, .. } = *self.config;
        let EmbeddingTensors { patches, bias, prefix, positions } = embedding;
        let grid = side / patch;
        let weight = self.builder.floats("patches.weight", &[width, 3, patch, patch], patches);
        let bias = self.builder.floats("patches.bias", &[width], bias);
        let attributes = vec![ints("kernel_shape", &[patch as i64; 2]), ints("strides", &[patch as i64; 2])];
        let x = self.node("Conv", "patches", &[pixels, &weight, &bias], attributes);
        let x = self.reshape("patches.tokens", &x, &[0, width as i64, (grid * grid) as i64]);
        let x = self.transpose("patches.tokens", &x, &[0, 2, 1]);
        let positions = self.builder.floats("positions", &[grid * grid, width], positions);
        let x = self.node("Add", "positions", &[&x, &positions], Vec::new());
        if prefix.is_empty() {
            return x;
        }
        let tokens = prefix.len() / width;
        let prefix = self.builder.floats("prefix", &[1, tokens, width], prefix);
        let images = self.node("Shape", "prefix", &[&x], vec![int("start", 0), int("end", 1)]);
        let rest = self.builder.integers("prefix.rest", &[2], &[tokens as i64, width as i64]);
        let shape = self.node("Concat", "prefix", &[&images, &rest], vec![int("axis", 0)]);
        let prefix = self.node("Expand", "prefix", &[&prefix, &shape], Vec::new());
        self.node("Concat", "tokens", &[&prefix, &x], vec![int("axis", 1)])
    }

    fn norm(&mut self, layer: &str, (weight, bias): &Module, x: &str) -> String {
        let width = weight.len();
        let weight = self.builder.floats(&format!("{layer}.weight"), &[width], weight);
        let bias = self.builder.floats(&format!("{layer}.bias"), &[width], bias);
        let attributes = vec![int("axis", -1), float("epsilon", self.config.epsilon)];
        self.node("LayerNormalization", layer, &[x, &weight, &bias], attributes)
    }

    fn linear(&mut self, layer: &str, weight: &[f32], bias: &[f32], x: &str) -> String {
        let (outputs, inputs) = (bias.len(), weight.len() / bias.len());
        let transposed: Vec<f32> =
            (0..inputs).flat_map(|input| (0..outputs).map(move |output| weight[output * inputs + input])).collect();
        let weight = self.builder.floats(&format!("{layer}.weight"), &[inputs, outputs], &transposed);
        let bias = self.builder.floats(&format!("{layer}.bias"), &[outputs], bias);
        let x = self.node("MatMul", layer, &[x, &weight], Vec::new());
        self.node("Add", layer, &[&x, &bias], Vec::new())
    }

    fn block(&mut self, name: &str, block: &TransformerBlock, x: &str) -> String {
        let BlockTensors { qkv, output, fc1, fc2 } = &block.layers;
        let normalised = self.norm(&format!("{name}.norm1"), &block.norm1, x);
        let attended = self.attention(&format!("{name}.attention"), qkv, &normalised);
        let attended = self.linear(&format!("{name}.output"), &output.0, &output.1, &attended);
        let x = self.node("Add", name, &[x, &attended], Vec::new());
        let normalised = self.norm(&format!("{name}.norm2"), &block.norm2, &x);
        let hidden = self.linear(&format!("{name}.fc1"), &fc1.0, &fc1.1, &normalised);
        let hidden = self.activation(&format!("{name}.activation"), &hidden);
        let hidden = self.linear(&format!("{name}.fc2"), &fc2.0, &fc2.1, &hidden);
        self.node("Add", name, &[&x, &hidden], Vec::new())
    }

    /// Softmax attention of several heads.
    fn attention(&mut self, name: &str, (weight, bias): &Module, x: &str) -> String {
        let TowerConfig { width, heads, .. } = *self.config;
        let channels = width / heads;
        // Queries, values: [images, heads, tokens, channels]; keys: [images, heads, channels, tokens].
        let orders = [[0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]];
        let mut projected = Vec::new();
        for (index, (part, order)) in ["query", "key", "value"].into_iter().zip(orders).enumerate() {
            let layer = format!("{name}.{part}");
            let weight = &weight[index * width * width..][..width * width];
            let x = self.linear(&layer, weight, &bias[index * width..][..width], x);
            let x = self.reshape(&layer, &x, &[0, 0, heads as i64, channels as i64]);
            projected.push(self.transpose(&layer, &x, &order));
        }
        let [query, key, value] = [0, 1, 2].map(|part: usize| projected[part].as_str());
        let scores = self.node("MatMul", name, &[query, key], Vec::new());
        let scale = self.scalar(&format!("{name}.scale"), 1.0 / (channels as f32).sqrt());
        let scores = self.node("Mul", name, &[&scores, &scale], Vec::new());
        let shares = self.node("Softmax", name, &[&scores], vec![int("axis", -1)]);
        let sums = self.node("MatMul", name, &[&shares, value], Vec::new());
        let sums = self.transpose(name, &sums, &[0, 2, 1, 3]);
        self.reshape(name, &sums, &[0, 0, width as i64])
    }

    fn activation(&mut self, name: &str, x: &str) -> String {
        match self.config.activation {
            Activation::QuickGelu => {
                let slope = self.scalar(&format!("{name}.slope"), 1.702);
                let scaled = self.node("Mul", name, &[x, &slope], Vec::new());
                let gate = self.node("Sigmoid", name, &[&scaled], Vec::new());
                self.node("Mul", name, &[x, &gate], Vec::new())
            }
            Activation::Gelu => {
                let scale = self.scalar(&format!("{name}.scale"), std::f32::consts::FRAC_1_SQRT_2);
                let scaled = self.node("Mul", name, &[x, &scale], Vec::new());
                let gate = self.node("Erf", name, &[&scaled], Vec::new());
                self.half_of_one_plus(name, x, &gate)
            }
            Activation::GeluTanh => {
                // tanh(sqrt(2 / pi) (x + 0.044715 x³))
                let cubic = self.scalar(&format!("{name}.cubic"), 0.044_715);
                let scale = self.scalar(&format!("{name}.scale"), (2.0 / std::f32::consts::PI).sqrt());
                let square = self.node("Mul", name, &[x, x], Vec::new());
                let cube = self.node("Mul", name, &[&square, x], Vec::new());
                let cube = self.node("Mul", name, &[&cube, &cubic], Vec::new());
                let sum = self.node("Add", name, &[x, &cube], Vec::new());
                let scaled = self.node("Mul", name, &[&sum, &scale], Vec::new());
                let gate = self.node("Tanh", name, &[&scaled], Vec::new());
                self.half_of_one_plus(name, x, &gate)
            }
        }
    }

    /// `x (1 + gate) / 2`.
    fn half_of_one_plus(&mut self, name: &str, x: &str, gate: &str) -> String {
        let one = self.scalar(&format!("{name}.one"), 1.0);
        let half = self.scalar(&format!("{name}.half"), 0.5);
        let gate = self.node("Add", name, &[gate, &one], Vec::new());
        let product = self.node("Mul", name, &[x, &gate], Vec::new());
        self.node("Mul", name, &[&product, &half], Vec::new())
    }

    /// The class token, if there is one, and the mean of the patch tokens, each `[parts of the batch, width]`.
    fn summaries(&mut self, block: usize, x: &str) -> Vec<String> {
        let name = format!("summaries.{block}");
        let mut summaries = Vec::new();
        if self.config.has_class_token() {
            let first = self.builder.integers(&format!("{name}.class"), &[], &[0]);
            summaries.push(self.node("Gather", &name, &[x, &first], vec![int("axis", 1)]));
        }
        let start = self.builder.integers(&format!("{name}.start"), &[1], &[self.config.prefix_tokens() as i64]);
        let end = self.builder.integers(&format!("{name}.end"), &[1], &[i64::MAX]);
        let axis = self.builder.integers(&format!("{name}.axis"), &[1], &[1]);
        let patches = self.node("Slice", &name, &[x, &start, &end, &axis], Vec::new());
        summaries.push(self.node("ReduceMean", &name, &[&patches], vec![ints("axes", &[1]), int("keepdims", 0)]));
        summaries
    }

    /// The margin of each part, `[parts of the batch, 1]`.
    fn head(&mut self, head: &HeadTensors, features: &str) -> String {
        let name = "head";
        let HeadTensors { mean, scale, has_unit_vectors, kernel, centre, factor, weight, bias } = head;
        let mean = self.builder.floats("head.mean", &[mean.len()], mean);
        let scale = self.builder.floats("head.scale", &[scale.len()], scale);
        let mut x = self.node("Sub", name, &[features, &mean], Vec::new());
        x = self.node("Mul", name, &[&x, &scale], Vec::new());
        if *has_unit_vectors {
            let length = self.node("ReduceL2", name, &[&x], vec![ints("axes", &[1]), int("keepdims", 1)]);
            let tiny = self.scalar("head.tiny", TINY_LENGTH);
            let length = self.node("Max", name, &[&length, &tiny], Vec::new());
            x = self.node("Div", name, &[&x, &length], Vec::new());
        }
        if let Some((gamma, anchors)) = kernel {
            // |u - anchor|² = 2 - 2 u · anchor for vectors of length 1.
            let shape = [anchors.len() / centre.len(), centre.len()];
            let anchors = self.builder.floats("head.anchors", &shape, anchors);
            let twice = self.scalar("head.twice_gamma", 2.0 * gamma);
            x = self.node("MatMul", name, &[&x, &anchors], Vec::new());
            x = self.node("Mul", name, &[&x, &twice], Vec::new());
            x = self.node("Sub", name, &[&x, &twice], Vec::new());
            x = self.node("Exp", name, &[&x], Vec::new());
        }
        let width = centre.len();
        let centre = self.builder.floats("head.centre", &[width], centre);
        let scaled: Vec<f32> = weight.iter().map(|weight| weight * factor).collect();
        let weight = self.builder.floats("head.weight", &[width, 1], &scaled);
        let bias = self.builder.floats("head.bias", &[1], &[*bias]);
        x = self.node("Sub", name, &[&x, &centre], Vec::new());
        x = self.node("MatMul", name, &[&x, &weight], Vec::new());
        self.node("Add", name, &[&x, &bias], Vec::new())
    }

    /// The margin of each image, `[N, 1]`, from the margins of its parts.
    fn mean(&mut self, margins: &str, parts: usize) -> String {
        if parts == 1 {
            return margins.to_owned();
        }
        let x = self.reshape("margin", margins, &[-1, parts as i64]);
        self.node("ReduceMean", "margin", &[&x], vec![ints("axes", &[1]), int("keepdims", 1)])
    }
}

#[cfg(test)]
mod tests {
    use vision::{Family, Preprocessing};

    use super::super::builder::assert_connected;
    use super::*;

    /// A transformer of two blocks with zeros, of which the features of the first one are used.
    fn transformer(family: Family, activation: Activation, registers: usize, parts: usize) -> VitTensors {
        let (width, mlp_width, patch, side) = (4, 6, 2, 5);
        let config = TowerConfig {
            family,
            width,
            depth: 2,
            heads: 2,
            mlp_width,
            patch,
            side,
            registers,
            activation,
            epsilon: 1e-5,
            projection: None,
            attention_pool: false,
        };
        let module = |outputs: usize, inputs: usize| (vec![0.0; outputs * inputs], vec![0.0; outputs]);
        let layers = BlockTensors {
            qkv: module(3 * width, width),
            output: module(width, width),
            fc1: module(mlp_width, width),
            fc2: module(width, mlp_width),
        };
        let block = TransformerBlock { norm1: module(width, 1), norm2: module(width, 1), layers };
        let embedding = EmbeddingTensors {
            patches: vec![0.0; width * 3 * patch * patch],
            bias: vec![0.0; width],
            prefix: vec![0.0; config.prefix_tokens() * width],
            positions: vec![0.0; 4 * width],
        };
        let features = config.summaries() * width;
        let tower = TowerTensors {
            preprocessing: Preprocessing::of_family(family, side),
            embedding,
            norm_before: (family == Family::Clip).then(|| module(width, 1)),
            blocks: vec![block.clone(), block],
            config,
        };
        let head = HeadTensors {
            mean: vec![0.0; features],
            scale: vec![1.0; features],
            has_unit_vectors: true,
            kernel: Some((0.5, vec![0.0; 3 * features])),
            centre: vec![0.0; 3],
            factor: 1.0,
            weight: vec![0.0; 3],
            bias: 0.0,
        };
        VitTensors { tower, layers: vec![0], parts, head }
    }

    #[test]
    fn graph_of_each_family_is_connected() {
        for (family, activation, registers, parts) in [
            (Family::Clip, Activation::QuickGelu, 0, 2),
            (Family::Dinov2, Activation::Gelu, 3, 1),
            (Family::Siglip, Activation::GeluTanh, 0, 1),
        ] {
            let mut builder = Builder::default();
            let margin = margin(&mut builder, &transformer(family, activation, registers, parts));
            builder.output("Identity", &[&margin], Vec::new());
            let graph = builder.graph("vit", 1);
            assert_connected(&graph);
            // Blocks after the last one with features are left out.
            assert!(!graph.node.iter().any(|node| node.name.starts_with("blocks.1")), "{family:?}");
        }
    }
}
