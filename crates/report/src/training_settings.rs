//! How a model was trained, in words: model, optimiser, learning rate, batch and augmentation.

use artifacts::text::dataset_name;
use serde_json::Value;

use crate::format_number::percent;

/// Returns the settings of a training as names and values. `config` is the configuration in the manifest of the run.
/// Settings that an old manifest lacks are left out.
pub(crate) fn settings(config: &Value) -> Vec<(&'static str, String)> {
    let branches = strings(&config["model"]["branches"]);
    let is_resnet = branches.iter().all(|branch| branch.starts_with("resnet"));
    // Manifests of earlier versions have no section for the model, which was always the same.
    let model = if branches.is_empty() { "resnet50".to_owned() } else { branches.join(", ") };
    let mut settings = vec![(if branches.len() > 1 { "Branches" } else { "Model" }, model)];
    let weights = if is_resnet { &config["weights"] } else { &config["model"]["vit"]["weights"] };
    if let Some(weights) = weights.as_str().filter(|_| is_resnet || branches.contains(&"vit".to_owned())) {
        let name = if weights == "none" { "random".to_owned() } else { dataset_name(weights) };
        settings.push((if is_resnet { "Initial weights" } else { "Frozen weights" }, name));
    }
    if is_resnet {
        let optimiser = match config["weight_decay"].as_f64() {
            Some(decay) if decay > 0.0 => format!("AdamW, weight decay {decay}"),
            _ => "Adam".to_owned(),
        };
        settings.push(("Optimiser", optimiser));
    }
    if let Some(rate) = config["learning_rate"].as_f64() {
        let schedule = config["schedule"].as_str().map_or(String::new(), |schedule| format!(", {schedule}"));
        let warmup = config["warmup_epochs"].as_f64().filter(|epochs| *epochs > 0.0);
        let warmup = warmup.map_or(String::new(), |epochs| format!(", {epochs} epochs of warm-up"));
        settings.push(("Learning rate", format!("{}{schedule}{warmup}", short(rate))));
    }
    if let Some(batch) = config["batch"].as_u64() {
        let steps = config["accumulate"].as_u64().filter(|batches| *batches > 1);
        settings.push((
            "Batch",
            match steps {
                Some(batches) => format!("{batch} images, {batches} batches in a step"),
                None => format!("{batch} images"),
            },
        ));
    }
    if let Some(epochs) = config["epochs"].as_u64() {
        settings.push(("Epochs", format!("at most {epochs}")));
    }
    let augment = if is_resnet { &config["augment"] } else { &config["model"]["views"]["augment"] };
    settings.push(("Augmentation", augmentation(augment)));
    if let Some(balance) = config["class_balance"].as_str().filter(|balance| *balance != "none") {
        settings.push(("Balance of classes", balance.to_owned()));
    }
    settings
}

/// Lists the changes with a probability above 0.
fn augmentation(augment: &Value) -> String {
    let Some(changes) = augment.as_object() else { return "unknown".to_owned() };
    let used: Vec<String> = changes
        .iter()
        .filter_map(|(name, change)| match (change.as_bool(), change["probability"].as_f64()) {
            (Some(true), _) => Some(name.clone()),
            (_, Some(share)) if share > 0.0 => Some(format!("{name} ({} of images)", percent(Some(share)))),
            _ => None,
        })
        .collect();
    if used.is_empty() { "none".to_owned() } else { used.join(", ") }
}

/// Formats a number that was stored with the precision of 32 bits without the digits that this adds.
fn short(value: f64) -> String {
    format!("{}", value as f32)
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|name| Some(name.as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_model_optimiser_rate_batch_and_augmentation() {
        let config = json!({
            "model": { "branches": ["resnet18"] }, "weights": "/home/a/resnet18.safetensors", "weight_decay": 0.05,
            "learning_rate": 0.0010000000474974513, "schedule": "cosine", "warmup_epochs": 0.5, "batch": 16, "accumulate": 2,
            "epochs": 30, "class_balance": "none",
            "augment": { "flip": true, "jpeg": { "probability": 0.5 }, "blur": { "probability": 0.0 } },
        });
        let expected = [
            ("Model", "resnet18"),
            ("Initial weights", "resnet18.safetensors"),
            ("Optimiser", "AdamW, weight decay 0.05"),
            ("Learning rate", "0.001, cosine, 0.5 epochs of warm-up"),
            ("Batch", "16 images, 2 batches in a step"),
            ("Epochs", "at most 30"),
            ("Augmentation", "flip, jpeg (50.0% of images)"),
        ];
        assert_eq!(settings(&config), expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn names_branches_and_their_frozen_weights() {
        let config = json!({ "model": {
            "branches": ["vit", "metadata"], "vit": { "weights": "hf:owner/repo" },
            "views": { "augment": { "crop": { "probability": 1.0 } } },
        }});
        let found = settings(&config);
        assert!(found.contains(&("Branches", "vit, metadata".to_owned())), "{found:?}");
        assert!(found.contains(&("Frozen weights", "hf:owner/repo".to_owned())), "{found:?}");
        assert!(found.contains(&("Augmentation", "crop (100.0% of images)".to_owned())), "{found:?}");
        assert!(!found.iter().any(|(name, _)| *name == "Optimiser"), "{found:?}");
    }
}
