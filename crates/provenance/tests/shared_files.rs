//! Real files of generators and of the C2PA: each gives what the list beside them says. The files are not part of the
//! project; without them, the tests are skipped.

use std::path::{Path, PathBuf};

use artifacts::text::is_hazard;
use pixels::Format;
use provenance::{Provenance, State};
use testing::shared;

fn folder() -> Option<PathBuf> {
    shared("data/provenance/LIST.tsv")?.parent().map(Path::to_owned)
}

fn read(path: &Path) -> Provenance {
    let bytes = std::fs::read(path).unwrap();
    let format = Format::of(&bytes).unwrap();
    Provenance::read(&bytes, format, None)
}

/// The files and what a reader must say, with a path under the folder.
fn list(folder: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(folder.join("LIST.tsv")).unwrap();
    let row = |line: &str| {
        let mut columns = line.split('\t').map(str::to_owned);
        (columns.next().unwrap(), columns.next().unwrap())
    };
    text.lines().skip(1).filter(|line| !line.is_empty()).map(row).collect()
}

/// The state that the second column asks for. `None` for files without one.
fn expected(file: &str, says: &str) -> Option<State> {
    if says.starts_with("broken") || file == "c2pa/no_alg.jpg" {
        return Some(State::Broken);
    }
    let valid = says.starts_with("valid") || says.starts_with("the active manifest is valid");
    let as_read = ["c2pa/C_with_CAWG_data.jpg", "c2pa/boxhash.jpg", "c2pa/attacks-C.jpg"].contains(&file);
    if valid || as_read {
        return Some(State::Untrusted);
    }
    file.starts_with("c2pa").then_some(State::Absent)
}

#[test]
fn content_credentials_have_the_listed_state() {
    let Some(folder) = folder() else { return };
    let mut sentences = std::collections::BTreeSet::new();
    for (file, says) in list(&folder) {
        let found = read(&folder.join(&file));
        if let Some(state) = expected(&file, &says) {
            assert_eq!(found.credentials.state, state, "{file}: {:?}", found.credentials);
            sentences.insert(found.credentials.sentence.split([':', ',']).next().unwrap().to_owned());
        }
        if says.contains("trainedAlgorithmicMedia") {
            assert!(found.declares_generation() && found.credentials.signer.is_some(), "{file}: {found:?}");
        }
        if says.contains("changed after signing") || says.contains("was changed after") {
            assert!(found.credentials.sentence.contains("the picture was changed"), "{file}");
        }
    }
    assert!(sentences.len() >= 3, "each state has its own sentence: {sentences:?}");
    let broken = read(&folder.join("c2pa/CIE-sig-CA.jpg")).credentials;
    assert!(
        broken.ingredients.iter().any(|one| !one.problems.is_empty()),
        "the broken ingredient is named: {broken:?}"
    );
}

#[test]
fn parameters_name_their_program() {
    let Some(folder) = folder() else { return };
    // The beginning of the name of a file, and a part of the name of the program.
    let tools = [
        ("civitai", "Civitai"),
        ("comfyui", "ComfyUI"),
        ("easy-reforge", "reForge"),
        ("forge-classic", "Forge Classic"),
        ("forge-neo", "Forge Neo"),
        ("forge", "Forge"),
        ("huggingface-space", "Hugging Face"),
        ("invokeai", "InvokeAI"),
        ("krea2", "ComfyUI"),
        ("novelai", "NovelAI"),
        ("reforge", "reForge"),
        ("ruined-fooocus", "Fooocus"),
        ("sd-next", "SD.Next"),
        ("sd-webui", "AUTOMATIC1111"),
        ("stability-matrix", "Stability Matrix"),
        ("swarmui", "SwarmUI"),
        ("tensorart", "TensorArt"),
    ];
    let mut wrong = Vec::new();
    for (file, says) in list(&folder).into_iter().filter(|(file, _)| file.starts_with("parameters/")) {
        let name = file.trim_start_matches("parameters/");
        let found = read(&folder.join(&file)).parameters;
        if name.starts_with("empty") || name.starts_with("gimp") {
            assert_eq!(found, [], "{file}: {says}");
            continue;
        }
        let (_, tool) = tools.iter().find(|(start, _)| name.starts_with(start)).unwrap();
        // These files have the form of another program, and do not name their own.
        let nameless = ["comfyui-saveimagewithmetadata.jpeg", "comfyui-saveimagewithmetadata.webp"];
        let tool = if nameless.contains(&name) { &"a program that writes its form" } else { tool };
        let names_tool = found.iter().any(|one| one.tool.contains(tool));
        let has_words = found.iter().any(|one| one.prompt.is_some() && (one.model.is_some() || one.seed.is_some()));
        if !names_tool || !has_words {
            wrong.push(format!("{file}: expected {tool}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn spoofs_declare_nothing() {
    let Some(folder) = folder() else { return };
    for (file, _) in list(&folder).into_iter().filter(|(file, _)| file.starts_with("spoofs/")) {
        let found = read(&folder.join(&file));
        assert!(!found.declares_generation() && found.credentials.state == State::Absent, "{file}: {found:?}");
        assert_eq!(found.comment.is_some(), file.contains("comment"), "{file}");
    }
    let photograph = read(&folder.join("c2pa-generators/Android Depth Map.jpg"));
    assert!(!photograph.declares_generation());
    let declared = read(&folder.join("iptc-digitalsourcetype.jpg"));
    assert!(declared.source_type.is_some(), "{declared:?}");
}

#[test]
fn no_file_injects_anything() {
    let Some(folder) = folder() else { return };
    for (file, _) in list(&folder) {
        let bytes = std::fs::read(folder.join(&file)).unwrap();
        let found = read(&folder.join(&file));
        for sentence in found.sentences() {
            assert!(!sentence.chars().any(is_hazard) && sentence.len() < 8000, "{file}: {sentence:?}");
        }
        let json = serde_json::to_string(&found).unwrap();
        assert!(json.len() < 200_000, "{file}: {}", json.len());
        // Files cut anywhere end without a panic.
        for part in 1..8 {
            let cut = &bytes[..bytes.len() * part / 8];
            if let Ok(format) = Format::of(cut) {
                drop(Provenance::read(cut, format, None));
            }
        }
    }
}
