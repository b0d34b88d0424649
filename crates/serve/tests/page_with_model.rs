//! A picture from the page of a real model to a record that another computation repeats, in a browser.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use artifacts::hash::Hash;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::PrecisionChoice;
use model::device::DeviceChoice;
use pixels::RgbImage;
use pixels::encode::{self, Subsampling};
use predict::{Agreement, CheckOptions, ModelName, Record};
use serde_json::json;

use crate::browser::Browser;
use crate::support::program::{Program, write_model};

fn wait_for(browser: &mut Browser, condition: &str) {
    let start = Instant::now();
    while browser.eval(condition) != true {
        assert!(start.elapsed() < Duration::from_secs(60), "{condition}: {}", browser.eval("document.body.innerText"));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// If `CANDLING_SCREENSHOTS` is set, the screenshots and the printed page are kept in that folder.
#[test]
fn a_dropped_picture_has_a_verdict_and_a_record_that_can_be_repeated() {
    let Some(mut browser) = Browser::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    std::fs::create_dir(&model).unwrap();
    write_model(&model);
    let program = Program::start(&model);
    let image = RgbImage::from_fn(320, 240, |x, y| [(x / 2) as u8, y as u8, ((x / 16 + y / 16) % 2 * 90) as u8]);
    let bytes = encode::jpeg(&image, 90, Subsampling::Quarter).unwrap();
    let picture = dir.path().join("picture.jpg");
    std::fs::write(&picture, &bytes).unwrap();
    browser.resize(1280, 900);
    browser.open_url(&format!("http://{}/", program.address));
    let downloads = dir.path().join("downloads");
    browser.call("Page.setDownloadBehavior", json!({ "behavior": "allow", "downloadPath": downloads }));
    let data = json!({ "items": [], "files": [picture], "dragOperationsMask": 1 });
    for kind in ["dragEnter", "dragOver", "drop"] {
        browser.call("Input.dispatchDragEvent", json!({ "type": kind, "x": 400, "y": 500, "data": data }));
    }
    wait_for(&mut browser, "document.querySelectorAll('article.result .verdict').length === 1");
    assert_eq!(browser.eval("[...document.images].every(image => image.naturalWidth > 0)"), true);
    browser.eval("document.querySelectorAll('.actions button').forEach(button => button.click())");
    let [saved_record, saved_page] =
        ["json", "html"].map(|extension| downloads.join(format!("picture-candling.{extension}")));
    let start = Instant::now();
    while !(saved_record.is_file() && saved_page.is_file()) {
        assert!(start.elapsed() < Duration::from_secs(30), "the browser did not save the record");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Browsers report nothing, and only this server was asked.
    assert_eq!(browser.errors(), Vec::<String>::new());
    let own = format!("{}/", program.address);
    let foreign = |url: &String| !url.contains(&own) && !url.starts_with("data:");
    assert_eq!(browser.requests().into_iter().filter(foreign).collect::<Vec<_>>(), Vec::<String>::new());

    let record = Record::read(&saved_record, Hash::of(&bytes)).unwrap();
    let shown = browser.eval("document.querySelector('.verdict .score strong').textContent");
    let p_fake = record.result["p_fake"].as_f64().unwrap();
    assert_eq!(shown, format!("{:.1}%", 100.0 * p_fake));
    let mut judge = predict::open(&ModelName::Folder(model), DeviceChoice::Cpu, PrecisionChoice::Auto).unwrap();
    let settings = &record.settings;
    let options = CheckOptions {
        explain: settings.explain,
        layer: settings.layer.clone(),
        stability: settings.stability,
        ..CheckOptions::default()
    };
    let mut findings = predict::compare_inputs(&record, &judge, Hash::of(&bytes), &options);
    findings.extend(predict::repeat(&record, &mut judge, &bytes, &options).unwrap());
    let different: Vec<_> = findings.iter().filter(|finding| finding.agreement != Agreement::Equal).collect();
    assert!(findings.len() > 10 && different.is_empty(), "{different:?}");

    browser.open(&saved_page);
    assert_eq!(browser.eval("document.querySelector('.verdict .score strong').textContent"), shown);
    let printed = STANDARD.decode(browser.print()).unwrap();
    assert!(printed.starts_with(b"%PDF"));
    if let Some(target) = std::env::var_os("CANDLING_SCREENSHOTS").map(PathBuf::from) {
        std::fs::create_dir_all(&target).unwrap();
        std::fs::write(target.join("record.pdf"), printed).unwrap();
        std::fs::write(target.join("record.png"), STANDARD.decode(browser.screenshot()).unwrap()).unwrap();
    }
}
