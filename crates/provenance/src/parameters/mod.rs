//! The parameters that image generators write, in words.

mod graph;
mod json;
mod settings;
mod value;

use pixels::metadata::{Place, PlacedText};
use serde::{Deserialize, Serialize};

use crate::clean;

/// The parameters of a generator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// The program: "Stable Diffusion WebUI (AUTOMATIC1111)", "ComfyUI" …
    pub tool: String,
    /// Its version.
    pub version: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The prompt.
    pub prompt: Option<String>,
    /// The negative prompt.
    pub negative_prompt: Option<String>,
    /// The seed.
    pub seed: Option<String>,
    /// The number of steps.
    pub steps: Option<String>,
    /// The sampler or scheduler.
    pub sampler: Option<String>,
    /// The guidance scale.
    pub guidance: Option<String>,
    /// Width and height.
    pub size: Option<String>,
    /// Where the file has them: "PNG text `parameters`", "EXIF", "XMP".
    pub place: String,
}

/// The largest number of texts that are parsed.
const MAX_TEXTS: usize = 16;

/// Reads the parameters in the texts of a file. Of several texts of one program, the one with the most fields is kept.
pub(crate) fn of_texts(texts: &[PlacedText]) -> Vec<Parameters> {
    let mut all: Vec<Parameters> = Vec::new();
    let is_novel_ai = texts.iter().any(|text| text.text.starts_with("NovelAI"));
    for text in texts.iter().filter(|text| is_place(&text.place)).take(MAX_TEXTS) {
        let Some(mut found) = parse(text) else { continue };
        if is_novel_ai && found.tool == UNKNOWN {
            "NovelAI".clone_into(&mut found.tool);
        }
        // Of all generators, TensorArt alone writes this keyword.
        if found.tool == UNKNOWN && text.place == Place::PngText("generation_data".to_owned()) {
            "TensorArt".clone_into(&mut found.tool);
        }
        found.place = place(&text.place);
        let found = found.cleaned();
        match all.iter_mut().find(|known| known.tool == found.tool) {
            Some(known) if known.fields() < found.fields() => *known = found,
            Some(_) => {}
            None => all.push(found),
        }
    }
    all
}

/// The name of a program whose parameters have no name.
pub(crate) const UNKNOWN: &str = "an image generator";

/// Whether generators write parameters in a place. Comments of JPEGs and GIFs are no such place.
fn is_place(place: &Place) -> bool {
    /// Keywords of PNGs. ComfyUI has two, InvokeAI four.
    const KEYWORDS: [&str; 13] = [
        "parameters",
        "prompt",
        "workflow",
        "invokeai_metadata",
        "invokeai_graph",
        "invokeai_workflow",
        "sd-metadata",
        "generation_data",
        "Comment",
        "UserComment",
        "Description",
        "Dream",
        "parameters-json",
    ];
    match place {
        Place::PngText(keyword) => KEYWORDS.contains(&keyword.as_str()),
        Place::Exif(_) | Place::Xmp => true,
        Place::Comment => false,
    }
}

fn place(place: &Place) -> String {
    match place {
        Place::PngText(keyword) => format!("PNG text `{}`", clean::text(keyword)),
        Place::Exif(_) => "EXIF".to_owned(),
        Place::Xmp => "XMP".to_owned(),
        Place::Comment => "comment".to_owned(),
    }
}

fn parse(text: &PlacedText) -> Option<Parameters> {
    let content = text.text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    // Programs write the keyword before JSON in EXIF fields.
    let (head, rest) = content.split_once(':').unwrap_or_default();
    let has_keyword = ["workflow", "prompt"].iter().any(|keyword| head.eq_ignore_ascii_case(keyword));
    let content = if has_keyword { rest.trim_start() } else { content };
    if content.starts_with('{') {
        return json::parse(content);
    }
    settings::parse(content).or_else(|| settings::parse_job(content)).or_else(|| settings::parse_command_line(content))
}

impl Parameters {
    /// The parameters of a program, without fields.
    pub(crate) fn of(tool: &str) -> Parameters {
        Parameters { tool: tool.to_owned(), ..Parameters::default() }
    }

    fn named(&self) -> [(&'static str, &Option<String>); 9] {
        [
            ("version", &self.version),
            ("model", &self.model),
            ("seed", &self.seed),
            ("steps", &self.steps),
            ("sampler", &self.sampler),
            ("guidance", &self.guidance),
            ("size", &self.size),
            ("prompt", &self.prompt),
            ("negative prompt", &self.negative_prompt),
        ]
    }

    fn fields(&self) -> usize {
        self.named().iter().filter(|(_, value)| value.is_some()).count()
    }

    fn cleaned(self) -> Parameters {
        let clean = |value: Option<String>| value.map(|text| clean::text(&text)).filter(|text| !text.is_empty());
        Parameters {
            tool: clean::text(&self.tool),
            version: clean(self.version),
            model: clean(self.model),
            prompt: clean(self.prompt),
            negative_prompt: clean(self.negative_prompt),
            seed: clean(self.seed),
            steps: clean(self.steps),
            sampler: clean(self.sampler),
            guidance: clean(self.guidance),
            size: clean(self.size),
            place: self.place,
        }
    }

    /// The parameters as a sentence, without a full stop.
    pub fn sentence(&self) -> String {
        let fields = self.named();
        let known: Vec<String> =
            fields.iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?))).collect();
        let details = if known.is_empty() { String::new() } else { format!(": {}", known.join("; ")) };
        format!("The file has parameters of {} ({}){details}", self.tool, self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn of(keyword: &str, text: &str) -> Option<Parameters> {
        let place = if keyword.is_empty() { Place::Exif(0x9286) } else { Place::PngText(keyword.to_owned()) };
        of_texts(&[PlacedText { place, text: text.to_owned() }]).pop()
    }

    #[test]
    fn other_text_has_no_parameters() {
        for text in ["a holiday at the sea", "", "{}", "{\"a\": 1}", "Steps: first, Sampler: second", "prompt: hello"] {
            assert_eq!(of("parameters", text), None, "{text}");
            assert_eq!(of("", text), None, "{text}");
        }
        assert_eq!(of("Title", "a cat\nSteps: 20, Sampler: Euler, Seed: 1"), None, "not a keyword of a generator");
    }

    #[test]
    fn comments_have_no_parameters() {
        let text = "a cat\nSteps: 20, Sampler: Euler, Seed: 1".to_owned();
        assert_eq!(of_texts(&[PlacedText { place: Place::Comment, text }]), []);
    }

    #[test]
    fn sentences_name_tool_and_fields() {
        let found = of("parameters", "a cat\nSteps: 20, Sampler: Euler, Seed: 7, Model: m, Version: v1.10.1").unwrap();
        assert_eq!(
            found.sentence(),
            "The file has parameters of Stable Diffusion WebUI (AUTOMATIC1111) (PNG text `parameters`): version v1.10.1; \
             model m; seed 7; steps 20; sampler Euler; prompt a cat"
        );
    }
}
