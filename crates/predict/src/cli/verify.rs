//! The command line of `verify`.

use std::path::PathBuf;

use artifacts::failure::print_text;
use artifacts::hash::Hash;
use artifacts::progress::line;
use artifacts::stage::Failure;
use artifacts::text::visible;
use clap::Args;
use pixels::{Limits, file};
use provenance::TrustList;

use super::model_args::ModelArgs;
use crate::check::CheckOptions;
use crate::record::Record;
use crate::url;
use crate::verify::{Agreement, Finding, TOLERANCE, compare_inputs, repeat};

/// Repeat a verdict from its record, and say what is equal.
///
/// On a machine with the same instruction set, numbers must be equal to the last digit; on another one, probabilities may
/// differ by 0.001. If the picture, the model or a setting is another one, the command names it and computes nothing.
///
/// Exit codes: 0 everything is equal, 1 the program failed, 2 wrong usage, 3 something differs or a file is missing.
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// The record that `predict --record` or the page of `serve` wrote
    #[arg(value_name = "RECORD")]
    pub record: PathBuf,
    /// The picture
    #[arg(value_name = "PICTURE")]
    pub picture: PathBuf,
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// The trust list that the record was made with, if any
    #[arg(long, value_name = "PEM")]
    pub trust_list: Option<PathBuf>,
    /// Print the findings as one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// Repeats a verdict from its record.
///
/// # Errors
/// Something differs, a file is missing or damaged, or the model fails.
pub fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    for (what, path) in [("record", &args.record), ("picture", &args.picture)] {
        if let Some(advice) = url::advice(path, "verify") {
            return Err(Failure::input(format!("failed to read the {what} `{}`: {advice}", path.display())));
        }
    }
    let bytes = file::read(&args.picture, Limits::default().max_file_bytes())
        .map_err(|error| Failure::input(format!("failed to read the picture `{}`: {error}", args.picture.display())))?;
    let hash = Hash::of(&bytes);
    let record = Record::read(&args.record, hash)?;
    let trust = args.trust_list.as_deref().map(TrustList::read).transpose().map_err(Failure::input)?;
    let mut judge = args.model.open()?;
    let options = CheckOptions {
        explain: record.settings.explain,
        layer: record.settings.layer.clone(),
        stability: record.settings.stability,
        picture: None,
        trust,
    };
    let mut findings = compare_inputs(&record, &judge, hash, &options);
    let same_inputs = findings.iter().all(|finding| finding.agreement == Agreement::Equal);
    if same_inputs {
        findings.extend(repeat(&record, &mut judge, &bytes, &options)?);
    }
    print(&findings, args.json)?;
    let different: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.agreement == Agreement::Different)
        .map(|finding| finding.part.as_str())
        .collect();
    if !different.is_empty() {
        let computed = if same_inputs { "" } else { ", so nothing was computed" };
        return Err(Failure::input(format!("not the same as in the record: {}{computed}", different.join(", "))));
    }
    let close = findings.iter().any(|finding| finding.agreement == Agreement::Close);
    if close {
        line(&format!(
            "verify: the result is that of the record; probabilities differ by at most {TOLERANCE}, because the record \
             was made on another machine ({})",
            visible(&record.machine.device)
        ));
    } else {
        line("verify: everything is equal to the record, numbers to the last digit");
    }
    Ok(())
}

fn print(findings: &[Finding], json: bool) -> Result<(), Failure> {
    if json {
        let rows: Vec<_> = findings
            .iter()
            .map(|one| serde_json::json!({ "part": one.part, "agreement": word(one.agreement), "detail": one.detail }))
            .collect();
        return artifacts::stage::print_json(&rows);
    }
    for finding in findings {
        let detail = if finding.detail.is_empty() { String::new() } else { format!(": {}", finding.detail) };
        print_text(&format!("{:<10} {}{}\n", word(finding.agreement), finding.part, visible(&detail)))?;
    }
    Ok(())
}

fn word(agreement: Agreement) -> &'static str {
    match agreement {
        Agreement::Equal => "equal",
        Agreement::Close => "close",
        Agreement::Different => "different",
    }
}
