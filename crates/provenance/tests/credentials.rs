//! Content Credentials that the test signs itself: the four states and their sentences.

use std::io::Cursor;
use std::path::Path;

use c2pa::settings::Settings;
use c2pa::{Builder, Context, SigningAlg, create_signer};
use pixels::encode::{Subsampling, jpeg};
use pixels::{Format, RgbImage};
use provenance::{Provenance, State, TrustList};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// A certificate authority and a signer with a certificate of it, all in PEM.
struct Signer {
    root: String,
    chain: String,
    key: String,
}

fn signer(name: &str) -> Signer {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.distinguished_name.push(DnType::OrganizationName, format!("{name} root"));
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let root_key = KeyPair::generate().unwrap();
    let root = authority.self_signed(&root_key).unwrap();
    let mut own = CertificateParams::new(Vec::new()).unwrap();
    own.distinguished_name.push(DnType::CommonName, name);
    own.distinguished_name.push(DnType::OrganizationName, format!("{name} Ltd"));
    own.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    own.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    own.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().unwrap();
    let certificate = own.signed_by(&key, &Issuer::new(authority, root_key)).unwrap();
    let root = root.pem();
    Signer { chain: format!("{}{root}", certificate.pem()), root, key: key.serialize_pem() }
}

fn picture() -> Vec<u8> {
    let image = RgbImage::from_fn(64, 48, |x, y| [(x * 4) as u8, (y * 5) as u8, (x * y) as u8]);
    jpeg(&image, 90, Subsampling::Quarter).unwrap()
}

fn signed(by: &Signer) -> Vec<u8> {
    let manifest = r#"{
        "title": "a\u001b[31m picture", "claim_generator_info": [{"name": "A Test", "version": "1"}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [{"action": "c2pa.created",
            "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
            "description": "<script>alert(1)</script>"}]}}]
    }"#;
    let signer = create_signer::from_keys(by.chain.as_bytes(), by.key.as_bytes(), SigningAlg::Es256, None).unwrap();
    let mut builder = Builder::from_context(Context::new().with_settings(Settings::new()).unwrap())
        .with_definition(manifest)
        .unwrap();
    let (mut source, mut target) = (Cursor::new(picture()), Cursor::new(Vec::new()));
    builder.sign(signer.as_ref(), "image/jpeg", &mut source, &mut target).unwrap();
    target.into_inner()
}

fn read(file: &[u8], trust: Option<&TrustList>) -> Provenance {
    Provenance::read(file, Format::Jpeg, trust)
}

#[test]
fn the_four_states_have_four_sentences() {
    let (own, other) = (signer("Signer"), signer("Other"));
    let file = signed(&own);
    let list = |signer: &Signer| TrustList::from_pem(signer.root.clone()).unwrap();
    let trusted = read(&file, Some(&list(&own))).credentials;
    assert_eq!(trusted.state, State::Trusted, "{trusted:?}");
    assert!(trusted.sentence.contains("Signer (Signer Ltd)") && trusted.sentence.contains("is on the trust list"));
    assert!(trusted.declares_generation() && trusted.generator.as_deref() == Some("A Test 1"), "{trusted:?}");
    assert!(!trusted.title.unwrap().contains('\u{1b}'));

    let unlisted = read(&file, Some(&list(&other))).credentials;
    assert_eq!(unlisted.state, State::Untrusted);
    assert!(unlisted.sentence.contains("is not on the trust list given"), "{}", unlisted.sentence);
    let no_list = read(&file, None).credentials;
    assert_eq!(no_list.state, State::Untrusted);
    assert!(no_list.sentence.contains("no trust list was given"), "{}", no_list.sentence);

    // A change of the picture, behind the credentials.
    let mut changed = file.clone();
    let end = changed.len() - 40;
    changed[end] ^= 1;
    let changed = read(&changed, Some(&list(&own))).credentials;
    assert_eq!(changed.state, State::Broken);
    assert!(changed.sentence.contains("the picture was changed after it was signed"), "{}", changed.sentence);
    // A change of what the credentials say.
    let at = file.windows(6).position(|bytes| bytes == b"script").unwrap();
    let mut rewritten = file.clone();
    rewritten[at] = b'S';
    let rewritten = read(&rewritten, Some(&list(&own))).credentials;
    assert_eq!(rewritten.state, State::Broken);
    assert!(rewritten.sentence.contains("was changed after it was signed"), "{}", rewritten.sentence);

    let absent = read(&picture(), None).credentials;
    assert_eq!(absent.state, State::Absent);
    assert!(absent.sentence.contains("proves nothing"), "{}", absent.sentence);
}

/// The file is also an input of `cargo xtask fuzz`. `CANDLING_UPDATE_GOLDEN=1` writes it anew.
#[test]
fn a_file_that_was_signed_earlier_reads_the_same() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/provenance/signed.jpg");
    if std::env::var_os("CANDLING_UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, signed(&signer("Signer"))).unwrap();
    }
    let found = read(&std::fs::read(&path).unwrap(), None).credentials;
    assert_eq!(found.state, State::Untrusted, "{found:?}");
    assert!(found.declares_generation() && found.generator.as_deref() == Some("A Test 1"), "{found:?}");
}

#[test]
fn credentials_after_the_end_are_absent() {
    let file = signed(&signer("Signer"));
    let appended = [picture(), file].concat();
    assert_eq!(read(&appended, None).credentials.state, State::Absent);
}

#[test]
fn damaged_credentials_do_not_stop_the_program() {
    let file = signed(&signer("Signer"));
    for at in (20..file.len()).step_by(97) {
        let mut damaged = file.clone();
        damaged[at] ^= 0xff;
        let found = read(&damaged, None);
        assert_ne!(found.credentials.sentence, "");
    }
}

#[test]
fn a_trust_list_needs_a_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("list.pem");
    assert!(TrustList::read(&path).unwrap_err().to_string().contains("failed to read"));
    std::fs::write(&path, "no certificate").unwrap();
    assert!(TrustList::read(&path).unwrap_err().to_string().contains("has no certificate"));
}
