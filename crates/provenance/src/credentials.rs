//! Content Credentials (C2PA), checked with the crate `c2pa` without a network.

use std::io::Cursor;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use c2pa::settings::Settings;
use c2pa::{Context, Reader};
use pixels::Format;
use pixels::metadata::Statements;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{TrustList, clean, source_type};

/// The largest number of actions, ingredients and problems that are kept.
const MAX_ITEMS: usize = 30;
/// The largest number of bytes of the report of `c2pa` that is read.
const MAX_REPORT: usize = 16 << 20;
/// The longest time that a check may take.
const MAX_TIME: Duration = Duration::from_secs(20);
/// The stack of the thread that checks: manifests can be nested.
const STACK: usize = 64 << 20;

/// Whether Content Credentials are valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Valid, and the signer is on the trust list.
    Trusted,
    /// Valid, but the signer is not on the trust list, or there is no list, or the certificate has expired.
    Untrusted,
    /// The picture or the credentials were changed after signing, or the credentials cannot be read.
    Broken,
    /// There are none.
    #[default]
    Absent,
}

/// The Content Credentials of a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Credentials {
    /// Whether they are valid.
    pub state: State,
    /// The state in a sentence.
    pub sentence: String,
    /// What is wrong, in words. Empty unless they are broken, or the certificate has expired.
    pub problems: Vec<String>,
    /// The name in the signer's certificate. Without a trust list, anyone can sign in any name.
    pub signer: Option<String>,
    /// The organisation in the signer's certificate.
    pub issuer: Option<String>,
    /// When they were signed, according to a time stamp or the signer.
    pub signed_at: Option<String>,
    /// The program that made them.
    pub generator: Option<String>,
    /// The title.
    pub title: Option<String>,
    /// What was done to the picture, in order.
    pub actions: Vec<Action>,
    /// The pictures that were used.
    pub ingredients: Vec<Ingredient>,
    /// The address of credentials that are kept elsewhere. Nothing is fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
}

/// What was done to a picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// The name of the action, `c2pa.created` …
    pub action: String,
    /// The program that did it.
    pub program: Option<String>,
    /// The digital source type in words.
    pub source_type: Option<String>,
    /// Whether the digital source type says that the picture, or a part of it, was generated.
    pub generated: bool,
    /// The description.
    pub description: Option<String>,
    /// When it was done.
    pub when: Option<String>,
}

/// A picture that was used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ingredient {
    /// The title.
    pub title: Option<String>,
    /// How it was used: `parentOf`, `componentOf` or `inputTo`.
    pub relationship: Option<String>,
    /// Whether it has Content Credentials of its own.
    pub has_credentials: bool,
    /// What is wrong with its own credentials, in words.
    pub problems: Vec<String>,
}

impl Credentials {
    /// Reads and checks the credentials of a file. Nothing is fetched.
    pub(crate) fn check(
        file: &[u8],
        format: Format,
        statements: &Statements,
        trust: Option<&TrustList>,
    ) -> Credentials {
        let remote = statements.remote_manifest.as_deref().map(clean::text);
        // Only a store in its proper place is given to the parser.
        let mut found = if statements.has_manifest {
            match report(file.to_vec(), format, trust) {
                Ok(report) => Credentials::of_report(&report, trust.is_some()),
                Err(why) => Credentials { state: State::Broken, problems: vec![why], ..Credentials::default() },
            }
        } else {
            Credentials { remote, ..Credentials::default() }
        };
        found.sentence = found.sentence(trust.is_some());
        found
    }

    /// Whether an action says that the picture, or a part of it, was generated.
    pub fn declares_generation(&self) -> bool {
        self.actions.iter().any(|action| action.generated)
    }

    fn of_report(report: &Value, has_list: bool) -> Credentials {
        let label = report["active_manifest"].as_str().unwrap_or_default();
        let manifest = &report["manifests"][label];
        let codes = failures(&report["validation_results"]["activeManifest"]["failure"]);
        let is_trust = |code: &str| matches!(code, "signingCredential.untrusted" | "signingCredential.expired");
        let broken = codes.iter().any(|failure| !is_trust(&failure.code)) || manifest.is_null();
        let state = match (broken, codes.is_empty() && has_list) {
            (true, _) => State::Broken,
            (false, true) => State::Trusted,
            (false, false) => State::Untrusted,
        };
        let shown = codes.iter().filter(|failure| failure.code != "signingCredential.untrusted");
        let mut problems: Vec<String> = shown.map(Failure::words).collect();
        problems.dedup();
        problems.truncate(MAX_ITEMS);
        let signature = &manifest["signature_info"];
        Credentials {
            state,
            sentence: String::new(),
            problems,
            signer: text(&signature["common_name"]),
            issuer: text(&signature["issuer"]),
            signed_at: text(&signature["time"]),
            generator: generator(manifest),
            title: text(&manifest["title"]),
            actions: actions(manifest),
            ingredients: ingredients(manifest),
            remote: None,
        }
    }

    fn sentence(&self, has_list: bool) -> String {
        let signer = match (&self.signer, &self.issuer) {
            (Some(name), Some(issuer)) if name != issuer => format!("{name} ({issuer})"),
            (Some(name), _) | (None, Some(name)) => name.clone(),
            (None, None) => "an unnamed signer".to_owned(),
        };
        match self.state {
            State::Trusted => format!(
                "The Content Credentials are valid: {signer}, who is on the trust list, signed them, and the picture \
                 has not been changed since."
            ),
            State::Untrusted => {
                let expired = if self.problems.is_empty() { "" } else { ", and the certificate has expired" };
                let list = if has_list {
                    format!("but {signer} is not on the trust list given{expired}")
                } else {
                    format!("but no trust list was given to check the signer, {signer}{expired}")
                };
                format!(
                    "The Content Credentials are intact and the picture has not been changed since they were signed, \
                     {list}. Anyone can sign in any name."
                )
            }
            State::Broken => format!(
                "The Content Credentials are broken: {}. What they say must not be relied on.",
                if self.problems.is_empty() { "they cannot be read".to_owned() } else { self.problems.join("; ") }
            ),
            State::Absent => match &self.remote {
                Some(address) => format!(
                    "The file has no Content Credentials in it. It says that some are kept at {address}; nothing was \
                     fetched."
                ),
                None => {
                    "The file has no Content Credentials. This proves nothing, because most pictures have none and \
                         saving a picture again removes them."
                        .to_owned()
                }
            },
        }
    }
}

/// Runs `c2pa` on a file. It runs on a thread of its own, so that neither a panic nor endless work reaches the caller.
fn report(file: Vec<u8>, format: Format, trust: Option<&TrustList>) -> Result<Value, String> {
    let (sender, receiver) = mpsc::channel();
    let trust = trust.cloned();
    let work = move || {
        let _ = sender.send(read(file, format, trust.as_ref()));
    };
    let thread = std::thread::Builder::new().name("content credentials".to_owned()).stack_size(STACK).spawn(work);
    if thread.is_err() {
        return Err("they could not be checked, because the system starts no more threads".to_owned());
    }
    match receiver.recv_timeout(MAX_TIME) {
        Ok(read) => read,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            Err(format!("checking them takes more than {} seconds", MAX_TIME.as_secs()))
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => Err("they cannot be read".to_owned()),
    }
}

fn read(file: Vec<u8>, format: Format, trust: Option<&TrustList>) -> Result<Value, String> {
    let mut settings = Settings::new();
    settings.verify.remote_manifest_fetch = false;
    settings.verify.ocsp_fetch = false;
    settings.core.allowed_network_hosts = Some(Vec::new());
    settings.core.decode_identity_assertions = false;
    let pem = trust.map(|trust| trust.pem().to_owned());
    settings.trust.user_anchors.clone_from(&pem);
    settings.trust.allowed_list = pem;
    let unreadable = |error: c2pa::Error| format!("they cannot be read ({})", clean::text(&error.to_string()));
    let start = Instant::now();
    let context = Context::new().with_settings(settings).map_err(unreadable)?;
    let context = context.with_progress_callback(move |_, _, _| start.elapsed() < MAX_TIME);
    let reader = Reader::from_context(context).with_stream(mime(format), Cursor::new(file)).map_err(unreadable)?;
    let json = reader.json();
    if json.len() > MAX_REPORT {
        return Err("they are too large".to_owned());
    }
    serde_json::from_str(&json).map_err(|_| "they cannot be read".to_owned())
}

fn mime(format: Format) -> &'static str {
    match format {
        Format::Jpeg => "image/jpeg",
        Format::Png => "image/png",
        Format::WebP => "image/webp",
        Format::Tiff => "image/tiff",
        Format::Gif => "image/gif",
        Format::Bmp => "image/bmp",
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(clean::text).filter(|text| !text.is_empty())
}

fn generator(manifest: &Value) -> Option<String> {
    let info = &manifest["claim_generator_info"][0];
    match (text(&info["name"]), text(&info["version"])) {
        (Some(name), Some(version)) => Some(format!("{name} {version}")),
        (Some(name), None) => Some(name),
        (None, _) => text(&manifest["claim_generator"]),
    }
}

fn actions(manifest: &Value) -> Vec<Action> {
    let assertions = manifest["assertions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_actions =
        assertions.iter().filter(|one| one["label"].as_str().is_some_and(|label| label.starts_with("c2pa.actions")));
    let listed = of_actions.filter_map(|one| one["data"]["actions"].as_array()).flatten();
    listed.take(MAX_ITEMS).map(action).collect()
}

fn action(value: &Value) -> Action {
    let agent = &value["softwareAgent"];
    let term = value["digitalSourceType"].as_str().map(source_type::term);
    Action {
        action: text(&value["action"]).unwrap_or_default(),
        program: text(agent).or_else(|| text(&agent["name"])),
        source_type: term.map(source_type::words),
        generated: term.is_some_and(source_type::is_generated),
        description: text(&value["description"]),
        when: text(&value["when"]),
    }
}

fn ingredients(manifest: &Value) -> Vec<Ingredient> {
    let listed = manifest["ingredients"].as_array().map(Vec::as_slice).unwrap_or_default();
    listed
        .iter()
        .take(MAX_ITEMS)
        .map(|value| {
            let own = failures(&value["validation_results"]["activeManifest"]["failure"]);
            let all = own.into_iter().chain(failures(&value["validation_status"]));
            let is_trust = |code: &str| code.starts_with("signingCredential.") || code.starts_with("timeStamp.");
            let mut problems: Vec<String> =
                all.filter(|failure| !is_trust(&failure.code)).map(|failure| failure.words()).collect();
            problems.dedup();
            Ingredient {
                title: text(&value["title"]),
                relationship: text(&value["relationship"]),
                has_credentials: value["active_manifest"].is_string(),
                problems,
            }
        })
        .collect()
}

/// A failed check.
struct Failure {
    code: String,
    /// The part of the store that it is about.
    url: String,
}

fn failures(list: &Value) -> Vec<Failure> {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let part = |value: &Value, key: &str| value[key].as_str().map(clean::text).unwrap_or_default();
    items.iter().take(MAX_ITEMS).map(|one| Failure { code: part(one, "code"), url: part(one, "url") }).collect()
}

impl Failure {
    fn words(&self) -> String {
        let part = self.url.rsplit('/').next().unwrap_or_default();
        match self.code.as_str() {
            "assertion.dataHash.mismatch" | "assertion.bmffHash.mismatch" | "assertion.boxesHash.mismatch" => {
                "the picture was changed after it was signed".to_owned()
            }
            "claimSignature.mismatch" => "the signature does not match what was signed".to_owned(),
            "claimSignature.missing" => "the signature is missing".to_owned(),
            "assertion.hashedURI.mismatch" => format!("the statement `{part}` was changed after it was signed"),
            "assertion.missing" => format!("the statement `{part}` is missing"),
            "ingredient.manifest.missing" => "the credentials of a picture that was used are missing".to_owned(),
            "signingCredential.expired" => "the signer's certificate has expired".to_owned(),
            "signingCredential.invalid" => "the signer's certificate is not valid for signing".to_owned(),
            "signingCredential.revoked" => "the signer's certificate was revoked".to_owned(),
            code => format!("the check `{code}` failed"),
        }
    }
}
