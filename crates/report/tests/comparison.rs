//! Tests of the page that `candling-compare-report` writes, and of its errors.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::browser::Browser;
use crate::support::comparison;

fn render(dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_candling-compare-report")).arg(dir).output().unwrap()
}

fn page(dir: &Path) -> String {
    let output = render(dir);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read_to_string(dir.join("report/index.html")).unwrap()
}

#[test]
fn thumbnails_are_in_the_page_in_the_order_of_the_differences() {
    let dir = tempfile::tempdir().unwrap();
    comparison::write(dir.path(), 2, |_| ());
    let page = page(dir.path());
    assert_eq!(page.matches("<img src=\"data:image/").count(), comparison::THUMBNAILS);
    let gallery = page.split("pictures compared").nth(1).unwrap().split("</ul>").next().unwrap();
    let places: Vec<_> =
        (0..comparison::THUMBNAILS).map(|i| gallery.find(&comparison::file_name(i)).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
    for part in ["truth ", "P(fake) ", "SD 1.5", "-name-of-a-folder/model-0", "-name-of-a-folder/model-1"] {
        assert!(gallery.contains(part), "{part}");
    }
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
}

#[test]
fn page_without_thumbnails_says_so() {
    let dir = tempfile::tempdir().unwrap();
    comparison::write(dir.path(), 2, |_| ());
    std::fs::remove_dir_all(dir.path().join("images")).unwrap();
    let page = page(dir.path());
    assert!(page.contains("no compared run has their pixels") && !page.contains("<img"));
    assert!(page.contains(&comparison::file_name(0)), "the table still lists the images");
}

#[test]
fn rejects_a_thumbnail_outside_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    comparison::write(dir.path(), 2, |value: &mut Value| value["disagreements"][0]["image"] = "../secret.png".into());
    let output = render(dir.path());
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("outside the folder of the comparison"));
}

#[test]
fn fits_every_width_and_covers_no_text() {
    let Some(mut browser) = Browser::start() else { return };
    for detectors in [2, 6] {
        let dir = tempfile::tempdir().unwrap();
        comparison::write(dir.path(), detectors, |_| ());
        page(dir.path());
        for width in [1280, 390] {
            browser.resize(width, 900);
            browser.open(&dir.path().join("report/index.html"));
            assert_eq!(browser.eval("document.documentElement.scrollWidth"), width, "{detectors} detectors");
            assert_eq!(browser.eval(include_str!("support/overlaps.js")), "", "{detectors} detectors, {width} pixels");
        }
        for scheme in ["light", "dark"] {
            browser.set_colour_scheme(scheme);
            assert_eq!(browser.eval(include_str!("support/contrast.js")), "", "{scheme}");
        }
        assert_eq!(browser.errors(), Vec::<String>::new());
    }
}
