//! Parameters as text: Stable Diffusion WebUI and its successors, Midjourney, early InvokeAI.

use super::Parameters;

/// The largest number of settings that are read.
const MAX_SETTINGS: usize = 200;

/// Parses `PROMPT\nNegative prompt: …\nSteps: 20, Sampler: Euler a, …`.
pub(super) fn parse(text: &str) -> Option<Parameters> {
    let start = settings_start(text)?;
    let (prompts, line) = text.split_at(start);
    let settings = settings(line);
    let value = |key: &str| settings.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, v)| v.clone());
    let (prompt, negative) = match prompts.split_once("Negative prompt:") {
        Some((prompt, negative)) => (prompt, Some(negative)),
        None => (prompts, None),
    };
    let text_of = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let sampler = match (value("Sampler"), value("Schedule type")) {
        (Some(sampler), Some(schedule)) => Some(format!("{sampler} {schedule}")),
        (sampler, _) => sampler,
    };
    Some(Parameters {
        tool: tool(&settings, text),
        version: value("Version"),
        model: value("Model"),
        prompt: text_of(prompt),
        negative_prompt: negative.and_then(text_of),
        seed: value("Seed"),
        steps: value("Steps"),
        sampler,
        guidance: value("CFG scale").or_else(|| value("Distilled CFG Scale")),
        size: value("Size"),
        place: String::new(),
    })
}

/// Finds the line of settings: the last "Steps: NUMBER," that "Sampler: " follows.
fn settings_start(text: &str) -> Option<usize> {
    const STEPS: &str = "Steps: ";
    let sampler = text.rfind(", Sampler: ")?;
    let at = text[..sampler].rfind(STEPS)?;
    let is_word = text[..at].chars().next_back().is_none_or(char::is_whitespace);
    let number = text[at + STEPS.len()..].split(',').next()?.trim();
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_word && is_number).then_some(at)
}

/// Splits `key: value, key: "value, with comma", …`. JSON values are kept whole.
fn settings(line: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let (mut depth, mut quoted, mut start) = (0_usize, false, 0);
    let mut push = |part: &str| {
        if let Some((key, value)) = part.split_once(':') {
            let value = value.trim().trim_matches('"').to_owned();
            found.push((key.trim().to_owned(), value));
        }
        found.len() < MAX_SETTINGS
    };
    let mut previous = ' ';
    for (at, c) in line.char_indices() {
        match c {
            '"' if previous != '\\' => quoted = !quoted,
            '{' | '[' if !quoted => depth += 1,
            '}' | ']' if !quoted => depth = depth.saturating_sub(1),
            ',' | '\n' if !quoted && depth == 0 => {
                if !push(&line[start..at]) {
                    return found;
                }
                start = at + 1;
            }
            _ => {}
        }
        previous = c;
    }
    push(&line[start..]);
    found
}

/// Recognises the program by its version and its own settings.
fn tool(settings: &[(String, String)], text: &str) -> String {
    let value = |key: &str| settings.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    if let Some(app) = value("App") {
        return app.to_owned();
    }
    let is_number = |c: char| c.is_ascii_digit();
    let name = match value("Version") {
        Some("ComfyUI") => "ComfyUI",
        Some("classic") => "Stable Diffusion WebUI Forge Classic",
        Some("neo") => "Stable Diffusion WebUI Forge Neo",
        Some(version) if version.starts_with("Fooocus") => "Fooocus",
        Some(version) if version.starts_with('f') && version[1..].starts_with(is_number) => {
            // reForge counts from 1, Forge from 2 and from 0.
            if version.starts_with("f1.") { "Stable Diffusion WebUI reForge" } else { "Stable Diffusion WebUI Forge" }
        }
        Some(version) if version.starts_with('v') && version[1..].starts_with(is_number) => {
            "Stable Diffusion WebUI (AUTOMATIC1111)"
        }
        _ if text.contains("Civitai resources:") => "Civitai",
        _ => "Stable Diffusion WebUI or a program that writes its form",
    };
    name.to_owned()
}

/// Parses a description of Midjourney: `a cat --v 6.0 Job ID: 01234567-89ab-…`.
pub(super) fn parse_job(text: &str) -> Option<Parameters> {
    let (prompt, id) = text.trim().rsplit_once("Job ID: ")?;
    let lengths = id.split('-').map(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(part.len()));
    if !lengths.eq([8, 4, 4, 4, 12].map(Some)) {
        return None;
    }
    let (words, options) = prompt.split_once(" --").unwrap_or((prompt, ""));
    let mut options = options.split_whitespace();
    let version = options.find(|word| matches!(*word, "v" | "--v")).and_then(|_| options.next());
    let prompt = Some(words.trim().to_owned()).filter(|prompt| !prompt.is_empty());
    Some(Parameters { prompt, version: version.map(str::to_owned), ..Parameters::of("Midjourney") })
}

/// Parses the command line of early versions of InvokeAI: `"a cat" -s 50 -S 7 -W 512 -H 512`.
pub(super) fn parse_command_line(text: &str) -> Option<Parameters> {
    let (prompt, options) = text.trim().strip_prefix('"')?.rsplit_once('"')?;
    let words: Vec<&str> = options.split_whitespace().take(100).collect();
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = |option: &str| {
        words.iter().enumerate().find_map(|(index, word)| match word.strip_prefix(option)? {
            "" => words.get(index + 1).copied().filter(is_number).map(str::to_owned),
            number => Some(number).filter(is_number).map(str::to_owned),
        })
    };
    let (steps, seed) = (value("-s")?, value("-S")?);
    let size = value("-W").zip(value("-H")).map(|(width, height)| format!("{width}x{height}"));
    let prompt = Some(prompt.to_owned());
    Some(Parameters { prompt, steps: Some(steps), seed: Some(seed), size, ..Parameters::of("InvokeAI") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_settings_with_commas_quotes_and_json() {
        let text = "a cat, \"big\"\nNegative prompt: dog,\nbad\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG \
                    scale: 5.5, Seed: 362, Size: 1024x768, Model: m, x: \"a, b\", Hashes: {\"model\": \"4,5\"}, Version: \
                    f2.0.1v1.10.1";
        let found = parse(text).unwrap();
        assert_eq!(found.tool, "Stable Diffusion WebUI Forge");
        assert_eq!(found.prompt.as_deref(), Some("a cat, \"big\""));
        assert_eq!(found.negative_prompt.as_deref(), Some("dog,\nbad"));
        assert_eq!(found.sampler.as_deref(), Some("DPM++ 2M Karras"));
        assert_eq!((found.seed.as_deref(), found.guidance.as_deref()), (Some("362"), Some("5.5")));
        assert_eq!(found.version.as_deref(), Some("f2.0.1v1.10.1"));
        assert_eq!(settings("a: 1, b: {\"c\": 2, \"d\": [3, 4]}, e: \"f, g\"").len(), 3);
    }

    #[test]
    fn recognises_programs() {
        for (version, tool) in [
            ("App: SD.Next, Version: 56a", "SD.Next"),
            ("Version: ComfyUI", "ComfyUI"),
            ("Version: classic", "Stable Diffusion WebUI Forge Classic"),
            ("Version: neo", "Stable Diffusion WebUI Forge Neo"),
            ("Version: f1.0.0v2-v1.10.1RC", "Stable Diffusion WebUI reForge"),
            ("Version: v1.10.1", "Stable Diffusion WebUI (AUTOMATIC1111)"),
            ("Version: Fooocus v2.5.5", "Fooocus"),
            ("Civitai resources: []", "Civitai"),
            ("x: 1", "Stable Diffusion WebUI or a program that writes its form"),
        ] {
            assert_eq!(parse(&format!("a\nSteps: 2, Sampler: E, {version}")).unwrap().tool, tool);
        }
    }

    #[test]
    fn parses_midjourney_and_early_invokeai() {
        let job = parse_job("a cat --ar 16:9 --v 6.0 Job ID: 01234567-89ab-cdef-0123-456789abcdef").unwrap();
        assert_eq!((job.tool.as_str(), job.prompt.as_deref()), ("Midjourney", Some("a cat")));
        assert_eq!(job.version.as_deref(), Some("6.0"));
        assert!(parse_job("a job: Job ID: 7").is_none());
        let early = parse_command_line("\"a cat\" -s 50 -S7 -W 512 -H 256").unwrap();
        assert_eq!((early.seed.as_deref(), early.size.as_deref()), (Some("7"), Some("512x256")));
        assert!(parse_command_line("\"a cat\" -s many").is_none());
    }

    #[test]
    fn time_is_linear() {
        assert!(parse(&"Steps: 1, ".repeat(100_000)).is_none());
        assert!(parse(&format!("Steps: 1, Sampler: x{}", ", a: b".repeat(100_000))).is_some());
    }
}
