//! The model card: `README.md` with metadata for the Hugging Face hub.

use std::fmt::Write;

use artifacts::schema::Interval;
use artifacts::text::visible;
use predict::{Measured, TrainingData};

use crate::source::Source;

/// Renders the model card.
pub(crate) fn render(source: &Source) -> String {
    let architecture = &source.model.architecture;
    let library = if source.is_known_elsewhere() { "timm" } else { "candling" };
    let mut card = format!(
        "---\nlibrary_name: {library}\npipeline_tag: image-classification\ntags:\n- image-classification\n\
         - ai-generated-image-detection\n- image-forensics\n---\n\n# Detector of AI-generated images ({})\n\n\
         Computes for a picture how likely it is that it was generated. Low values do not show that a picture is a \
         photograph: the absence of traces proves nothing.\n",
        code(architecture)
    );
    card += &limits(source);
    card += &usage(source);
    card += &trained_on(source.info.trained_on.as_ref());
    card += &measured(source.info.measured.as_ref());
    card += &files(source);
    card
}

fn limits(source: &Source) -> String {
    let mut text = String::from("\n## Limits\n\n");
    if source.info.trained_on.as_ref().is_some_and(|data| data.simulated) {
        text += "- **It was trained on simulated images. It is of no use for real ones.**\n";
    }
    if let Some(described) = source.info.trained_on.as_ref().and_then(|data| data.reconstructions.as_deref()) {
        // A file of another version may have any text.
        let _ = writeln!(text, "- About its training: {}.", visible(described));
    }
    text += "- Pictures of generators, cameras and subjects that training had no like of can get a wrong verdict.\n\
             - Screenshots, collages, heavy compression and upscaling weaken or imitate traces.\n\
             - A verdict is evidence and not proof. Do not accuse anybody because of it alone.\n";
    if source.info.calibration.is_none() {
        text += "- It has no calibration, so that its probabilities may be far from frequencies.\n";
    }
    text
}

fn usage(source: &Source) -> String {
    let mut text = String::from("\n## Usage\n\n```sh\ncandling predict --model FOLDER PICTURE\n```\n");
    let architecture = &source.model.architecture;
    if source.is_known_elsewhere() {
        let _ = write!(
            text,
            "\n```python\n\
             import timm\n\
             model = timm.create_model(\"local-dir:FOLDER\", pretrained=True).eval()\n\n\
             import torchvision\n\
             from safetensors.torch import load_file\n\
             model = torchvision.models.{architecture}(num_classes={}).eval()\n\
             model.load_state_dict(load_file(\"FOLDER/model.safetensors\"))\n\n\
             from transformers import AutoModelForImageClassification  # needs timm\n\
             model = AutoModelForImageClassification.from_pretrained(\"FOLDER\")\n```\n\n\
             The logits are in the order of `id2label` in `config.json`. `preprocessor_config.json` says how pictures \
             are resized and normalised. These programs use neither the calibration nor the band of inconclusive \
             verdicts.\n",
            source.model.num_classes
        );
    }
    if let Some(calibration) = &source.info.calibration {
        let _ = writeln!(
            text,
            "\nThe calibrated P(fake) is the logistic function of (logit of fake - logit of real) / {}. A verdict is \
             inconclusive from {} to {}.",
            calibration.temperature, calibration.band.low, calibration.band.high
        );
    }
    text
}

fn trained_on(data: Option<&TrainingData>) -> String {
    let Some(data) = data else { return "\n## Training\n\nThe training images are not known.\n".to_owned() };
    let mut text = format!(
        "\n## Training\n\n- Images: {}{}\n- {} real and {} generated images\n",
        code(&data.source),
        if data.simulated { ", simulated" } else { "" },
        data.reals,
        data.fakes
    );
    if !data.generators.is_empty() {
        let names: Vec<String> = data.generators.iter().map(|name| code(name)).collect();
        let _ = writeln!(text, "- Generators: {}", names.join(", "));
    }
    text
}

fn measured(measured: Option<&Measured>) -> String {
    let Some(measured) = measured else { return "\n## Evaluation\n\nThe model was not evaluated.\n".to_owned() };
    let mut text = format!(
        "\n## Evaluation\n\nOn the {} images of the {} split of {}{}:\n\n| | value | 95% interval |\n| --- | --- | --- |\n",
        measured.images,
        measured.split,
        code(&measured.dataset),
        if measured.simulated { ", which are simulated" } else { "" }
    );
    let rows = [
        ("ROC-AUC", measured.roc_auc, measured.roc_auc_interval),
        ("accuracy", measured.accuracy, measured.accuracy_interval),
        ("share of inconclusive verdicts", measured.inconclusive, None),
        ("share of wrong verdicts among the others", measured.wrong, measured.wrong_interval),
        ("share of photographs with the verdict \"traces of generation\"", measured.false_accusations, None),
        ("share of generated images with the verdict \"no traces found\"", measured.misses, None),
    ];
    for (name, value, interval) in rows {
        let value = value.map_or("undefined".to_owned(), |value| format!("{value:.4}"));
        let interval = interval.map_or(String::new(), |Interval { low, high, .. }| format!("{low:.4} to {high:.4}"));
        let _ = writeln!(text, "| {name} | {value} | {interval} |");
    }
    text
}

fn files(source: &Source) -> String {
    let mut text = String::from(
        "\n## Files\n\n\
         - `model.safetensors`: the weights, without the state of the optimiser\n\
         - `config.json`: the architecture and the classes\n\
         - `preprocessor_config.json`: how a picture is resized and normalised\n\
         - `candling.json`: calibration, band, training data and measured limits\n",
    );
    if source.branches.as_ref().is_some_and(|branches| branches.vit.is_some()) {
        text += "- `backbone/`: the frozen vision transformer\n";
    }
    if let Some(weights) = source.info.weights {
        let _ = writeln!(text, "\nMade by Candling {}. BLAKE3 of the weights: `{weights}`.", source.info.candling);
    }
    text
}

/// Formats a name from outside as a code span.
fn code(text: &str) -> String {
    format!("`{}`", visible(text).replace('`', "'").replace('|', "\u{2502}"))
}
