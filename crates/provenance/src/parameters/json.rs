//! Parameters as JSON: InvokeAI, NovelAI, SwarmUI, Fooocus, TensorArt, Stability Matrix and others.

use serde_json::{Map, Value};

use super::value::string;
use super::{Parameters, UNKNOWN, graph};

/// Parses the parameters of any program that writes JSON.
pub(super) fn parse(text: &str) -> Option<Parameters> {
    let value: Value = serde_json::from_str(&without_nan(text)).ok()?;
    let object = value.as_object()?;
    of_object(object)
}

fn of_object(object: &Map<String, Value>) -> Option<Parameters> {
    // NovelAI's WebPs have the parameters as a text in another object.
    if let Some(inner) = object.get("Comment").and_then(Value::as_str).filter(|text| text.starts_with('{')) {
        let inner: Value = serde_json::from_str(&without_nan(inner)).ok()?;
        let found = of_fields(inner.as_object()?)?;
        return Some(Parameters { tool: "NovelAI".to_owned(), version: string(object.get("Source")), ..found });
    }
    if let Some(inner) = object.get("sui_image_params").and_then(Value::as_object) {
        let version = string(inner.get("swarm_version"));
        return Some(Parameters { version, ..of_fields(inner).unwrap_or_default() }.named_tool("SwarmUI"));
    }
    // SaveImagePlus wraps the two graphs of ComfyUI.
    if let Some(found) = graph::parse(object).or_else(|| graph::parse(object.get("prompt")?.as_object()?)) {
        let is_civitai = object.contains_key("extraMetadata");
        return Some(if is_civitai { with_civitai(found, object) } else { found });
    }
    if graph::is_workflow(object) {
        return Some(Parameters::of("ComfyUI"));
    }
    if object.contains_key("nodes") && object.contains_key("edges") {
        return Some(Parameters::of("InvokeAI"));
    }
    if let Some(image) = object.get("image").and_then(Value::as_object).filter(|_| object.contains_key("model_weights"))
    {
        let found = of_fields(image).unwrap_or_default();
        return Some(Parameters { model: string(object.get("model_weights")), ..found }.named_tool("InvokeAI"));
    }
    of_fields(object)
}

/// Civitai's own fields, which are a text of JSON beside the graph.
fn with_civitai(found: Parameters, object: &Map<String, Value>) -> Parameters {
    let extra = object.get("extraMetadata").and_then(Value::as_str);
    let extra: Option<Value> = extra.and_then(|text| serde_json::from_str(text).ok());
    let own = extra.as_ref().and_then(Value::as_object).and_then(of_fields).unwrap_or_default();
    Parameters {
        tool: "Civitai (ComfyUI)".to_owned(),
        prompt: own.prompt.or(found.prompt),
        negative_prompt: own.negative_prompt.or(found.negative_prompt),
        seed: own.seed.or(found.seed),
        steps: own.steps.or(found.steps),
        guidance: own.guidance.or(found.guidance),
        sampler: own.sampler.or(found.sampler),
        size: own.size.or(found.size),
        ..found
    }
}

impl Parameters {
    fn named_tool(self, tool: &str) -> Parameters {
        Parameters { tool: tool.to_owned(), ..self }
    }
}

/// Reads the members of an object by the names that programs use. `None` unless there are a prompt and two settings.
fn of_fields(object: &Map<String, Value>) -> Option<Parameters> {
    let get = |names: &[&str]| {
        let member = object.iter().find(|(key, value)| names.contains(&normal(key).as_str()) && !value.is_null());
        member.and_then(|(_, value)| string(Some(value)))
    };
    let model = object.get("model").and_then(|model| string(model.get("name").or_else(|| model.get("model_name"))));
    let first_model = object.get("models").and_then(|models| string(models.get(0)?.get("modelFileName")));
    let size = get(&["width"]).zip(get(&["height"])).map(|(width, height)| format!("{width}x{height}"));
    let found = Parameters {
        tool: tool(object).to_owned(),
        version: get(&["appversion", "version", "fooocusversion"]).filter(|version| !version.starts_with('{')),
        model: model.or(first_model).or_else(|| get(&["model", "modelname", "basemodel", "basemodelname"])),
        prompt: get(&["prompt", "positiveprompt", "c"]),
        negative_prompt: get(&["negativeprompt", "negative", "uc"]),
        seed: get(&["seed"]),
        steps: get(&["steps", "numinferencesteps"]),
        sampler: get(&["sampler", "samplername", "scheduler"]),
        guidance: get(&["cfgscale", "guidancescale", "cfg", "scale"]),
        size: size.or_else(|| get(&["resolution"])),
        place: String::new(),
    };
    let settings = [&found.model, &found.seed, &found.steps, &found.sampler, &found.guidance, &found.negative_prompt];
    let known = settings.iter().filter(|value| value.is_some()).count();
    (found.prompt.is_some() && known >= 2).then_some(found)
}

/// Recognises the program by its own members.
fn tool(object: &Map<String, Value>) -> &str {
    let has = |keys: &[&str]| keys.iter().all(|key| object.contains_key(*key));
    let software = object.get("software").and_then(Value::as_str).filter(|name| name.len() < 60);
    let version = object.get("version").and_then(Value::as_str).unwrap_or_default();
    match software {
        Some(name) => name,
        None if version.starts_with("Fooocus") || has(&["base_model", "metadata_scheme"]) => "Fooocus",
        None if has(&["app_version"]) || has(&["generation_mode"]) => "InvokeAI",
        None if has(&["uncond_scale"]) || has(&["noise_schedule", "uc"]) || has(&["v4_prompt"]) => "NovelAI",
        None if has(&["PositivePrompt", "ModelName"]) => "Stability Matrix",
        None if has(&["samplerName", "models"]) || has(&["baseModel", "models"]) => "TensorArt",
        None if has(&["c", "uc", "sampler"]) => "Draw Things",
        None if has(&["use_upscaler", "guidance_scale"]) => "a Hugging Face Space",
        None => UNKNOWN,
    }
}

/// A name in lower case without separators.
fn normal(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).take(40).collect()
}

/// Replaces `NaN`, which Python writes and JSON does not have, by `null` where it follows a separator.
fn without_nan(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains("NaN") {
        return text.into();
    }
    text.replace("[NaN", "[null").replace(": NaN", ": null").replace(", NaN", ", null").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_programs_by_their_members() {
        for (text, tool) in [
            (
                r#"{"sui_image_params": {"prompt": "a cat", "seed": 1, "model": "m", "swarm_version": "0.9"}}"#,
                "SwarmUI",
            ),
            (
                r#"{"app_version": "6.10", "positive_prompt": "a", "seed": 1, "steps": 2, "model": {"name": "m"}}"#,
                "InvokeAI",
            ),
            (r#"{"prompt": "a", "steps": 28, "seed": 1, "uncond_scale": 0.0}"#, "NovelAI"),
            (r#"{"Comment": "{\"prompt\": \"a\", \"steps\": 28, \"seed\": 1}", "Source": "NovelAI V4"}"#, "NovelAI"),
            (r#"{"prompt": "a", "seed": 1, "base_model": "x", "version": "Fooocus v2.5"}"#, "Fooocus"),
            (r#"{"Prompt": "a", "seed": 1, "steps": 3, "software": "RuinedFooocus"}"#, "RuinedFooocus"),
            (r#"{"nodes": [], "links": [], "last_node_id": 3}"#, "ComfyUI"),
            (r#"{"id": "x", "nodes": {}, "edges": []}"#, "InvokeAI"),
        ] {
            assert_eq!(parse(text).map(|found| found.tool).as_deref(), Some(tool), "{text}");
        }
        let invoke = parse(
            r#"{"app_version": "6", "positive_prompt": "a", "seed": 18446744073709551615, "steps": 2, "model": {"name": "m"}}"#,
        );
        let invoke = invoke.unwrap();
        assert_eq!((invoke.model.as_deref(), invoke.seed.as_deref()), (Some("m"), Some("18446744073709551615")));
    }

    #[test]
    fn other_json_has_no_parameters() {
        let deep = format!("{{\"nodes\": {}", "[".repeat(1 << 18));
        for text in ["{}", r#"{"prompt": "who are you?"}"#, r#"{"a": {"class_type": 1}}"#, "{\"nodes\": []", &deep] {
            assert_eq!(parse(text), None);
        }
    }
}
