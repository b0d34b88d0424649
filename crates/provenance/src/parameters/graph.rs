//! ComfyUI's graph of nodes: `{"3": {"class_type": "KSampler", "inputs": {…}}, …}`.

use std::cell::Cell;

use serde_json::{Map, Value};

use super::Parameters;
use super::value::string;

/// The largest number of nodes that a link is followed through.
const MAX_HOPS: usize = 20;
/// The largest number of nodes that are visited for the texts of a graph. Nodes that join texts have two successors, so
/// that a hostile graph could have exponentially many paths.
const MAX_VISITS: usize = 500;

/// Reads the parameters of a graph. `None` if the object is not one.
pub(super) fn parse(object: &Map<String, Value>) -> Option<Parameters> {
    let is_node = |value: &&Value| value["class_type"].is_string() && value["inputs"].is_object();
    let nodes: Vec<&Value> = object.values().filter(is_node).collect();
    if nodes.is_empty() {
        return None;
    }
    let graph = Graph { nodes: object, visits: Cell::new(0) };
    let input = |names: &[&str]| {
        let found = |node: &&Value| names.iter().find_map(|name| graph.value(&node["inputs"][*name], MAX_HOPS));
        nodes.iter().find_map(found)
    };
    // The sampler is the node whose inputs are a positive and a negative prompt.
    let sampler = nodes.iter().find(|node| {
        let inputs = &node["inputs"];
        inputs["positive"].is_array() && (inputs["seed"] != Value::Null || inputs["noise_seed"] != Value::Null)
    });
    let of_sampler = |names: &[&str]| {
        let inputs = &sampler?["inputs"];
        names.iter().find_map(|name| graph.value(&inputs[*name], MAX_HOPS))
    };
    let prompt_at = |name: &str| graph.text(&sampler?["inputs"][name], MAX_HOPS);
    let size = input(&["width"]).zip(input(&["height"])).map(|(width, height)| format!("{width}x{height}"));
    Some(Parameters {
        model: input(&["ckpt_name", "unet_name", "model_name", "base_ckpt_name"]),
        prompt: prompt_at("positive").or_else(|| longest_text(&nodes)),
        negative_prompt: prompt_at("negative"),
        seed: of_sampler(&["seed", "noise_seed"]).or_else(|| input(&["noise_seed", "seed"])),
        steps: of_sampler(&["steps"]).or_else(|| input(&["steps"])),
        sampler: of_sampler(&["sampler_name"]).or_else(|| input(&["sampler_name"])),
        guidance: of_sampler(&["cfg"]).or_else(|| input(&["cfg", "guidance"])),
        size,
        ..Parameters::of("ComfyUI")
    })
}

/// Whether an object is the editor's form of a graph.
pub(super) fn is_workflow(object: &Map<String, Value>) -> bool {
    object.get("nodes").is_some_and(Value::is_array) && object.contains_key("links")
}

struct Graph<'a> {
    nodes: &'a Map<String, Value>,
    /// The nodes visited for texts so far.
    visits: Cell<usize>,
}

/// The largest size of a joined text in bytes.
const MAX_TEXT: usize = 1 << 20;
/// The names of inputs that hold a text.
const TEXTS: [&str; 8] = ["text", "Text", "prompt", "positive", "value", "string", "text_positive", "text_g"];

impl Graph<'_> {
    /// Returns the node that a link `["ID", OUTPUT]` leads to.
    fn target(&self, link: &Value) -> Option<&Value> {
        self.nodes.get(link.get(0)?.as_str()?)
    }

    /// Returns a value, or the one that a link leads to.
    fn value(&self, input: &Value, hops: usize) -> Option<String> {
        if !input.is_array() {
            return string(Some(input));
        }
        let inputs = &self.target(input)?["inputs"];
        // One successor for each hop, so that the time is linear.
        let next = ["seed", "value", "noise_seed", "int", "number"].iter().find(|name| !inputs[**name].is_null())?;
        if hops == 0 { None } else { self.value(&inputs[*next], hops - 1) }
    }

    /// Returns the text of the node that a link leads to, or of the nodes before it.
    fn text(&self, link: &Value, hops: usize) -> Option<String> {
        let inputs = self.target(link)?["inputs"].as_object()?;
        let own = TEXTS.iter().find_map(|name| inputs.get(*name)?.as_str());
        if let Some(text) = own.filter(|text| !text.trim().is_empty()) {
            return Some(text.to_owned());
        }
        self.visits.set(self.visits.get() + 1);
        if hops == 0 || self.visits.get() > MAX_VISITS {
            return None;
        }
        if inputs.contains_key("switch") {
            let taken = if self.flag(&inputs["switch"]) { "on_true" } else { "on_false" };
            return self.text(inputs.get(taken)?, hops - 1);
        }
        if let (Some(one), Some(other)) = (inputs.get("string_a"), inputs.get("string_b")) {
            let part = |input: &Value| match input.as_str() {
                Some(text) => Some(text.to_owned()),
                None => self.text(input, hops - 1),
            };
            let parts: Vec<String> = [one, other].into_iter().filter_map(part).collect();
            return Some(parts.join(inputs.get("delimiter").and_then(Value::as_str).unwrap_or_default()))
                .filter(|text| text.len() <= MAX_TEXT && !text.trim().is_empty());
        }
        // The first link that leads to a text.
        let mut links = TEXTS.iter().chain(&["conditioning", "source"]).filter_map(|name| inputs.get(*name));
        links.find(|value| value.is_array()).and_then(|link| self.text(link, hops - 1))
    }

    /// Returns a boolean, or the one that a link leads to; false if there is none.
    fn flag(&self, input: &Value) -> bool {
        let value =
            if input.is_array() { self.target(input).map(|node| &node["inputs"]["value"]) } else { Some(input) };
        value.and_then(Value::as_bool).unwrap_or(false)
    }
}

/// The longest text of a node that encodes text, for graphs with unknown samplers.
fn longest_text(nodes: &[&Value]) -> Option<String> {
    let encoders = nodes.iter().filter(|node| node["class_type"].as_str().is_some_and(|name| name.contains("Text")));
    let texts = encoders.filter_map(|node| TEXTS.iter().find_map(|name| node["inputs"][*name].as_str()));
    texts.max_by_key(|text| text.len()).filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(text: &str) -> Option<Parameters> {
        parse(serde_json::from_str::<Value>(text).unwrap().as_object().unwrap())
    }

    #[test]
    fn follows_links_to_prompts_and_seed() {
        let found = graph(
            r#"{"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "m.safetensors"}},
                "2": {"class_type": "CLIPTextEncode", "inputs": {"text": ["9", 0]}},
                "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "bad"}},
                "4": {"class_type": "KSampler", "inputs": {"seed": ["8", 0], "steps": 20, "cfg": 5.5, "positive": ["2", 0],
                      "negative": ["3", 0], "sampler_name": "euler"}},
                "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 32}},
                "8": {"class_type": "Seed", "inputs": {"seed": 77}},
                "9": {"class_type": "String", "inputs": {"value": "a cat"}}}"#,
        );
        let found = found.unwrap();
        assert_eq!((found.prompt.as_deref(), found.negative_prompt.as_deref()), (Some("a cat"), Some("bad")));
        assert_eq!((found.seed.as_deref(), found.model.as_deref()), (Some("77"), Some("m.safetensors")));
        assert_eq!((found.size.as_deref(), found.guidance.as_deref()), (Some("64x32"), Some("5.5")));
    }

    #[test]
    fn links_in_a_circle_end() {
        let circle = r#"{"1": {"class_type": "KSampler", "inputs": {"seed": ["1", 0], "positive": ["2", 0]}},
                         "2": {"class_type": "A", "inputs": {"text": ["2", 0], "seed": ["2", 0], "value": ["2", 0]}}}"#;
        assert_eq!(graph(circle).unwrap().prompt, None);
        assert_eq!(graph(r#"{"a": {"class_type": 3, "inputs": {}}, "b": 1}"#), None);
    }

    #[test]
    fn switches_and_joined_texts_are_followed() {
        let found = graph(
            r#"{"1": {"class_type": "KSampler", "inputs": {"seed": 1, "positive": ["2", 0]}},
                "2": {"class_type": "CLIPTextEncode", "inputs": {"text": ["3", 0]}},
                "3": {"class_type": "ComfySwitchNode", "inputs": {"switch": ["4", 0], "on_false": ["5", 0], "on_true": ["6", 0]}},
                "4": {"class_type": "PrimitiveBoolean", "inputs": {"value": true}},
                "5": {"class_type": "String", "inputs": {"value": "not this"}},
                "6": {"class_type": "PreviewAny", "inputs": {"source": ["7", 0]}},
                "7": {"class_type": "StringConcatenate", "inputs": {"string_a": ["8", 0], "string_b": "a hat", "delimiter": ", "}},
                "8": {"class_type": "String", "inputs": {"value": "a cat"}}}"#,
        );
        assert_eq!(found.unwrap().prompt.as_deref(), Some("a cat, a hat"));
    }

    #[test]
    fn graphs_with_exponentially_many_paths_end() {
        let join = |id: usize| {
            let next = id + 1;
            format!(
                r#""{id}": {{"class_type": "StringConcatenate", "inputs": {{"string_a": ["{next}", 0], "string_b": ["{next}", 0]}}}}"#
            )
        };
        let joins: Vec<String> = (1..60).map(join).collect();
        let sampler = r#""0": {"class_type": "KSampler", "inputs": {"seed": 1, "positive": ["1", 0]}}"#;
        let last = r#""60": {"class_type": "String", "inputs": {"value": "x"}}"#;
        assert!(graph(&format!("{{{sampler}, {}, {last}}}", joins.join(", "))).is_some());
    }
}
