//! Declarations in sentences.

use crate::{Provenance, State};

pub(crate) fn of(provenance: &Provenance) -> Vec<String> {
    let credentials = &provenance.credentials;
    let mut sentences = vec![credentials.sentence.clone()];
    if credentials.state != State::Absent {
        if let Some(generator) = &credentials.generator {
            sentences.push(format!("The Content Credentials were made by {generator}."));
        }
        for action in &credentials.actions {
            let parts = [action.source_type.as_deref(), action.description.as_deref(), action.program.as_deref()];
            let details: Vec<&str> = parts.into_iter().flatten().collect();
            let details = if details.is_empty() { String::new() } else { format!(": {}", details.join("; ")) };
            sentences.push(format!("They state the action {}{details}.", action.action.trim_start_matches("c2pa.")));
        }
        for ingredient in &credentials.ingredients {
            let title = ingredient.title.as_deref().unwrap_or("without a title");
            let own = match (ingredient.has_credentials, ingredient.problems.is_empty()) {
                (_, false) => format!("whose own Content Credentials are broken: {}", ingredient.problems.join("; ")),
                (true, true) => "which has Content Credentials of its own".to_owned(),
                (false, true) => "which has no Content Credentials".to_owned(),
            };
            sentences.push(format!("They name a picture that was used, {title}, {own}."));
        }
    }
    if let Some(source_type) = &provenance.source_type {
        sentences.push(format!("XMP metadata state the source: {source_type}."));
    }
    sentences.extend(provenance.parameters.iter().map(|parameters| format!("{}.", parameters.sentence())));
    if provenance.comment.is_some() {
        sentences.push(
            "A comment in the file has the form of a generator's parameters. Comments declare nothing, because any \
             program writes them."
                .to_owned(),
        );
    }
    if !provenance.camera.is_empty() {
        let fields: Vec<String> = provenance.camera.iter().map(|(name, value)| format!("{name} {value}")).collect();
        sentences.push(format!("Fields of camera and software: {}. Anyone can write them.", fields.join(", ")));
    }
    sentences
}
