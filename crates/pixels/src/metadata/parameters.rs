//! Recognition of the parameters that image generators write, by the form in which each program writes them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Whether the text of a PNG under this keyword is a generator's parameters. Keyword and form must belong together.
pub(super) fn is_png_text(keyword: &[u8], text: &str) -> bool {
    match keyword {
        // InvokeAI before version 2.
        b"Dream" => is_command_line(text),
        // Easy Diffusion writes each parameter under a keyword.
        b"use_stable_diffusion_model" => !text.trim().is_empty(),
        b"Description" => is_job(text) || is_text(text),
        // Stable Diffusion WebUI and its successors, Fooocus and SwarmUI; ComfyUI (two); InvokeAI (four);
        // TensorArt; NovelAI; others.
        b"parameters" | b"prompt" | b"workflow" | b"invokeai_metadata" | b"invokeai_graph" | b"invokeai_workflow"
        | b"sd-metadata" | b"generation_data" | b"Comment" | b"UserComment" => is_text(text),
        _ => false,
    }
}

/// Whether a comment, without a keyword, is a generator's parameters.
pub(super) fn is_text(text: &str) -> bool {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    // ComfyUI writes the keyword before the text to EXIF fields of WebPs.
    let json = ["workflow:", "prompt:"].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    if json.trim_start().starts_with('{') { Outline::of(json).is_generator() } else { has_settings(text) }
}

/// Whether a line has settings of Stable Diffusion WebUI: `Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1`.
fn has_settings(text: &str) -> bool {
    const STEPS: &str = "Steps: ";
    text.lines().any(|line| {
        // Found once for the line, so that the time is linear in its length.
        let Some(sampler) = line.rfind(", Sampler: ") else { return false };
        line.match_indices(STEPS).any(|(at, _)| {
            let is_word = line[..at].chars().next_back().is_none_or(char::is_whitespace);
            let settings = &line[at + STEPS.len()..];
            let after_number = settings.trim_start_matches(|c: char| c.is_ascii_digit());
            let has_number = after_number.len() < settings.len() && after_number.starts_with(',');
            is_word && has_number && line.len() - after_number.len() <= sampler
        })
    })
}

/// Whether the text is a prompt in quotation marks and options of InvokeAI: `"a cat" -s 50 -S 7 -W 512 -H 512`.
fn is_command_line(text: &str) -> bool {
    let Some((_, options)) = text.trim().strip_prefix('"').and_then(|rest| rest.rsplit_once('"')) else { return false };
    let words: Vec<&str> = options.split_whitespace().take(100).collect();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let has = |option: &str| {
        words.iter().enumerate().any(|(index, word)| match word.strip_prefix(option) {
            Some("") => words.get(index + 1).is_some_and(|next| is_number(next)),
            Some(number) => is_number(number),
            None => false,
        })
    };
    has("-s") && has("-S")
}

/// Whether the text ends with the number of a job of Midjourney: `a cat --v 6 Job ID: 01234567-89ab-…`.
fn is_job(text: &str) -> bool {
    let Some((_, id)) = text.trim().rsplit_once("Job ID: ") else { return false };
    let lengths = id.split('-').map(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(part.len()));
    lengths.eq([8, 4, 4, 4, 12].map(Some))
}

/// Names of members in JSON by which programs are recognised.
#[rustfmt::skip]
const NAMES: [&str; 29] = [
    "prompt", "positive_prompt", "c",
    "steps", "seed", "sampler", "sampler_name", "samplerName", "cfg_scale", "cfgScale", "guidance_scale", "scale",
    "negative_prompt", "negativePrompt", "uc", "model", "models", "base_model", "baseModel",
    "nodes", "links", "edges", "class_type", "inputs", "sui_image_params", "app_version", "generation_mode",
    "model_weights", "image",
];

/// The members of a JSON object, and those of the objects in it, among [`NAMES`]: a bit for each.
#[derive(Clone, Copy, Default)]
struct Outline {
    outer: u32,
    inner: u32,
}

impl Outline {
    /// Reads the outline of a JSON object. It is empty if the text is not JSON.
    fn of(text: &str) -> Outline {
        let json = without_nan(text);
        let mut deserializer = serde_json::Deserializer::from_str(&json);
        let found = Members { depth: 0 }.deserialize(&mut deserializer);
        found.ok().filter(|_| deserializer.end().is_ok()).unwrap_or_default()
    }

    fn is_generator(self) -> bool {
        let has = |names: &[&str]| names.iter().all(|name| self.outer & bit(name) != 0);
        let settings = NAMES[3..19].iter().filter(|name| self.outer & bit(name) != 0).count();
        let has_prompt = has(&["prompt"]) || has(&["positive_prompt"]) || has(&["c"]);
        // Fooocus, NovelAI, Draw Things, TensorArt and others.
        has_prompt && settings >= 2
            // The two graphs of ComfyUI.
            || has(&["nodes", "links"])
            || self.inner & bit("class_type") != 0 && self.inner & bit("inputs") != 0
            || has(&["sui_image_params"])
            // InvokeAI: its graph, and its parameters in three versions.
            || has(&["nodes", "edges"])
            || has(&["app_version", "generation_mode"])
            || has(&["app_version", "positive_prompt"])
            || has(&["model_weights", "image"])
    }
}

fn bit(name: &str) -> u32 {
    NAMES.iter().position(|known| *known == name).map_or(0, |index| 1 << index)
}

/// Reads the names of the members of an object, without keeping values.
#[derive(Clone, Copy)]
struct Members {
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for Members {
    type Value = Outline;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Outline, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Accepts a scalar, which has no members.
macro_rules! ignore_scalars {
    ($($visit:ident: $kind:ty),*) => {
        $(fn $visit<E>(self, _: $kind) -> Result<Outline, E> { Ok(Outline::default()) })*
    };
}

impl<'de> Visitor<'de> for Members {
    type Value = Outline;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    ignore_scalars!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<Outline, E> {
        Ok(Outline::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Outline, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Outline::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Outline, A::Error> {
        let mut outline = Outline::default();
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            outline.outer |= bit(&name);
            if self.depth == 0 {
                outline.inner |= members.next_value_seed(Members { depth: 1 })?.outer;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(outline)
    }
}

/// Replaces `NaN` and `Infinity`, which Python writes and JSON does not have, by `null`.
fn without_nan(text: &str) -> Cow<'_, str> {
    const WORDS: [&str; 3] = ["NaN", "-Infinity", "Infinity"];
    if !WORDS.iter().any(|word| text.contains(word)) {
        return Cow::Borrowed(text);
    }
    let mut replaced = String::with_capacity(text.len() + 8);
    let mut rest = text;
    let mut in_string = false;
    while let Some(character) = rest.chars().next() {
        let word = WORDS.iter().find(|word| !in_string && rest.starts_with(**word));
        let length = match (word, character) {
            (Some(word), _) => {
                replaced.push_str("null");
                rest = &rest[word.len()..];
                continue;
            }
            // A backslash and what it escapes.
            (None, '\\') => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (None, _) => character.len_utf8(),
        };
        in_string ^= character == '"';
        replaced.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    Cow::Owned(replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &str = "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1";
    const COMFY_PROMPT: &str = r#"{"3": {"class_type": "KSampler", "inputs": {"seed": 1}, "is_changed": [NaN]}}"#;
    const COMFY_WORKFLOW: &str = r#"{"last_node_id": 9, "nodes": [], "links": []}"#;

    #[test]
    fn recognises_each_program_by_keyword_and_form() {
        for (keyword, text) in [
            ("parameters", SETTINGS),
            ("parameters", "a cat Steps: 20, Size: 64x64, Sampler: Euler, Seed: 1"),
            ("parameters", r#"{"sui_image_params": {"prompt": "a cat"}}"#),
            ("parameters", r#"{"prompt": "a cat", "base_model": "x", "steps": 30, "sampler": "dpmpp"}"#),
            ("prompt", COMFY_PROMPT),
            ("workflow", COMFY_WORKFLOW),
            ("invokeai_metadata", r#"{"app_version": "3.0", "generation_mode": "txt2img"}"#),
            ("invokeai_graph", r#"{"id": "x", "nodes": {}, "edges": []}"#),
            ("sd-metadata", r#"{"model": "stable diffusion", "model_weights": "1.4", "image": {}}"#),
            ("Dream", "\"a \"big\" cat\" -s 50 -S 7 -W 512 -H 512 -C 7.5 -A k_lms"),
            ("Dream", "\"a cat\" -s50 -S7"),
            ("generation_data", r#"{"prompt": "a cat", "models": [], "cfgScale": 7}"#),
            ("Comment", r#"{"prompt": "a cat", "steps": 28, "uc": "dog", "seed": 1}"#),
            ("use_stable_diffusion_model", "sd-v1-4"),
            ("Description", "a cat --v 6.0 Job ID: 01234567-89ab-cdef-0123-456789abcdef"),
        ] {
            assert!(is_png_text(keyword.as_bytes(), text), "{keyword}: {text}");
            assert!(!is_png_text(b"Title", text), "{text}");
        }
    }

    #[test]
    fn other_text_is_no_parameters() {
        for text in [
            "please enter the door code at the prompt",
            "",
            "{}",
            "Steps: first enter the code, then the Sampler: room",
            "Steps: 20\nSampler: Euler",
            "BigSteps: 20, Sampler: Euler",
            ", Sampler: Euler Steps: 20, Seed: 1",
            r#"{"prompt": "who are you?"}"#,
            r#"{"nodes": []"#,
            r#"{"nodes": [], "links": []} and more"#,
            r#"["nodes", "links"]"#,
            "\"a cat\" -s many -S 7",
            "Job ID: 7",
            "Job ID: 01234567-89ab-cdef-0123-456789abcdefg",
        ] {
            for keyword in [b"parameters".as_slice(), b"prompt", b"workflow", b"Comment", b"Description", b"Dream"] {
                assert!(!is_png_text(keyword, text), "{text}");
            }
        }
    }

    #[test]
    fn recognises_comments_without_a_keyword() {
        let comfy = format!("prompt:{COMFY_PROMPT}");
        let draw_things = r#"{"c": "a cat", "steps": 20, "sampler": "Euler a", "seed": 1}"#;
        for text in [SETTINGS, comfy.as_str(), draw_things, &format!("{SETTINGS}\0\0")] {
            assert!(is_text(text), "{text}");
        }
        assert!(!is_text("Canon"));
    }

    #[test]
    fn replaces_only_numbers_outside_of_strings() {
        let text = r#"{"NaN": NaN, "a\"NaN": [Infinity, -Infinity, 1], "\\": NaN}"#;
        assert_eq!(without_nan(text), r#"{"NaN": null, "a\"NaN": [null, null, 1], "\\": null}"#);
        for end in 0..text.len() {
            let _ = without_nan(&text[..end]);
        }
    }

    #[test]
    fn time_is_linear_in_the_length_of_a_line() {
        assert!(!is_text(&"Steps: 1, ".repeat(500_000)));
        assert!(!is_text(&format!(", Sampler: {}", " Steps: 1,".repeat(500_000))));
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_overflow() {
        let deep = format!("{{\"nodes\": {}", "[".repeat(1 << 20));
        assert!(!is_text(&deep));
    }
}
