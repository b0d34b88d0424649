//! The page in a browser: dropping, pasting and choosing pictures, the keyboard, and no JavaScript.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use serve::Limits;

use crate::browser::Browser;
use crate::support::{self, Running, jpeg};

/// A file name that is markup.
const HOSTILE: &str = "<img src=x onerror=alert(1)> fake.jpg";
/// Finds texts with too little contrast.
const CONTRAST: &str = include_str!("../../report/tests/support/contrast.js");

/// A server, a browser that shows its page, and a folder for pictures.
struct Page {
    server: Running,
    browser: Browser,
    dir: tempfile::TempDir,
}

impl Page {
    fn open(width: u32) -> Option<Page> {
        let mut browser = Browser::start()?;
        let server = Running::start(Limits { max_file_mb: 1, max_waiting: 2, ..Limits::default() });
        browser.resize(width, 900);
        browser.open_url(&server.url());
        Some(Page { server, browser, dir: tempfile::tempdir().unwrap() })
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Chooses files in the field of the form.
    fn choose(&mut self, files: &[PathBuf]) {
        let document = self.browser.call("DOM.getDocument", json!({}));
        let parameters = json!({ "nodeId": document["root"]["nodeId"], "selector": "#file" });
        let node = self.browser.call("DOM.querySelector", parameters);
        self.browser.call("DOM.setFileInputFiles", json!({ "files": files, "nodeId": node["nodeId"] }));
    }

    fn wait_for(&mut self, condition: &str) {
        let start = Instant::now();
        while self.browser.eval(condition) != true {
            assert!(start.elapsed() < Duration::from_secs(30), "{condition}: {}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn wait_for_results(&mut self, count: usize) {
        self.wait_for(&format!("document.querySelectorAll('article.result').length === {count}"));
    }

    fn text(&mut self) -> String {
        self.browser.eval("document.body.innerText").as_str().unwrap().to_owned()
    }

    fn strings(&mut self, expression: &str) -> Vec<String> {
        serde_json::from_value(self.browser.eval(expression)).unwrap()
    }

    /// Checks that nothing went wrong in the browser, and that it asked only this server.
    fn assert_quiet(&mut self) {
        // Browsers report every answer that refuses a file, or asks to try again.
        let refused = |error: &String| {
            error.contains("\"source\":\"network\"")
                && ["422", "503"].iter().any(|code| error.contains(&format!("status of {code}")))
        };
        let errors: Vec<String> = self.browser.errors().into_iter().filter(|error| !refused(error)).collect();
        assert_eq!(errors, Vec::<String>::new());
        let (own, blob) = (self.server.url(), format!("blob:{}", self.server.url()));
        let foreign = |url: &String| !url.starts_with(&own) && !url.starts_with(&blob);
        let requests: Vec<String> = self.browser.requests().into_iter().filter(foreign).collect();
        assert_eq!(requests, Vec::<String>::new());
    }
}

#[test]
fn several_files_among_them_broken_ones_and_hostile_names() {
    let Some(mut page) = Page::open(1280) else { return };
    let files = [
        page.file(HOSTILE, &jpeg(64, 48)),
        page.file("inconclusive.jpg", &jpeg(48, 64)),
        page.file("plain.jpg", &jpeg(32, 32)),
        page.file("broken.jpg", &jpeg(64, 48)[..300]),
        page.file("large.jpg", &vec![0; 1_200_000]),
        page.file("empty.jpg", b""),
        page.file("slow-1.jpg", b"slow"),
        page.file("slow-2.jpg", b"slow"),
    ];
    page.choose(&files);
    // The broken file has an article with its error. The files that are too large or empty are not sent.
    page.wait_for_results(6);
    let states =
        page.strings("[...document.querySelectorAll('#list li')].map(row => row.querySelector('.state').textContent)");
    assert_eq!(states[..3], ["Traces of generation", "Inconclusive", "No traces found"]);
    assert!(states[3].len() > 5, "the error of the broken file: {states:?}");
    assert_eq!(states[4], "too large: it has 1.2 MB, and the limit is 1.0 MB");
    assert_eq!(states[5], "the file is empty");
    assert_eq!(page.browser.eval("document.getElementById('status').textContent.length > 0"), true);
    let classes = page.strings("[...document.querySelectorAll('#list .state')].map(state => state.className)");
    assert_eq!(classes[..4], ["state traces", "state inconclusive", "state none", "state failed"]);
    // Names are text.
    assert_eq!(page.strings("[...document.querySelectorAll('#list .name')].map(name => name.textContent)")[0], HOSTILE);
    assert!(
        page.strings("[...document.querySelectorAll('article h2')].map(title => title.textContent)")
            .contains(&HOSTILE.to_owned())
    );
    let injected =
        "document.querySelectorAll('[onerror], b, i, img:not([src^=\"data:image/\"]):not([src^=\"/assets/\"])').length";
    assert_eq!(page.browser.eval(injected), 0);
    assert_eq!(page.browser.eval("document.scripts.length"), 1);
    // What is declared is apart from the score.
    assert!(page.text().contains("a cat, <b>studio</b> light"));
    assert!(!page.text().to_lowercase().contains("is real"));
    let duplicate_ids =
        "[...document.querySelectorAll('[id]')].map(e => e.id).filter((id, i, ids) => ids.indexOf(id) !== i).join()";
    assert_eq!(page.browser.eval(duplicate_ids), "");
    page.assert_quiet();
}

#[test]
fn pasted_and_dropped_pictures_are_checked() {
    let Some(mut page) = Page::open(1280) else { return };
    let content = STANDARD.encode(jpeg(40, 40));
    page.browser.eval(&format!(
        "(() => {{ const data = new DataTransfer();
           data.items.add(new File([Uint8Array.from(atob('{content}'), c => c.charCodeAt(0))], 'pasted fake.jpg'));
           document.body.dispatchEvent(new ClipboardEvent('paste', {{ clipboardData: data, bubbles: true }})); }})()"
    ));
    page.wait_for_results(1);
    // Text that is pasted is no picture.
    page.browser.eval("document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: new DataTransfer(), bubbles: true }))");
    let dropped = [page.file("dropped.jpg", &jpeg(40, 40)), page.file("dropped inconclusive.jpg", &jpeg(40, 41))];
    let data = json!({ "items": [], "files": dropped, "dragOperationsMask": 1 });
    for kind in ["dragEnter", "dragOver", "drop"] {
        page.browser.call("Input.dispatchDragEvent", json!({ "type": kind, "x": 400, "y": 700, "data": data }));
        if kind == "dragOver" {
            page.wait_for("document.body.classList.contains('dragging')");
        }
    }
    page.wait_for_results(3);
    assert_eq!(page.browser.eval("document.body.classList.contains('dragging')"), false);
    assert_eq!(page.browser.eval("location.pathname"), "/", "the browser did not open the file");
    page.assert_quiet();
}

#[test]
fn everything_works_with_the_keyboard() {
    const TAB: u32 = 9;
    let Some(mut page) = Page::open(1280) else { return };
    let focus = "document.activeElement.id || document.activeElement.textContent";
    let mut reached = Vec::new();
    while page.browser.eval(focus) != "file" {
        page.browser.press("Tab", TAB);
        reached.push(page.browser.eval(focus));
        assert!(reached.len() < 10, "{reached:?}");
    }
    assert_eq!(reached[0], "Skip to the results");
    let outline = "getComputedStyle(document.activeElement).outlineStyle";
    assert_ne!(page.browser.eval(outline), "none");
    let file = page.file("fake.jpg", &jpeg(64, 48));
    page.choose(&[file]);
    page.wait_for_results(1);
    // The link leads to the heading of the result.
    page.browser.eval("document.querySelector('#list a').focus()");
    page.browser.call(
        "Input.dispatchKeyEvent",
        json!({ "type": "keyDown", "key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13 }),
    );
    page.wait_for("document.activeElement.matches('article h2')");
    // The next stops are within the result; the slider changes the heat map.
    let mut stops = 0;
    while page.browser.eval("document.activeElement.type") != "range" {
        page.browser.press("Tab", TAB);
        stops += 1;
        assert!(stops < 10);
    }
    assert!(
        page.browser
            .eval("document.activeElement.getAttribute('aria-label')")
            .as_str()
            .unwrap()
            .starts_with("Strength")
    );
    let opacity = "Number(document.querySelector('.heat').style.opacity)";
    let before = page.browser.eval(opacity).as_f64().unwrap();
    page.browser.press("ArrowRight", 39);
    page.wait_for(&format!("{opacity} > {before}"));
    page.browser.press("End", 35);
    page.wait_for(&format!("{opacity} === 1"));
    page.assert_quiet();
}

#[test]
fn record_is_saved_as_json_and_as_a_page() {
    let Some(mut page) = Page::open(1280) else { return };
    let downloads = page.dir.path().join("downloads");
    let parameters = json!({ "behavior": "allow", "downloadPath": downloads });
    page.browser.call("Page.setDownloadBehavior", parameters);
    let file = page.file("my fake.jpg", &jpeg(64, 48));
    page.choose(&[file]);
    page.wait_for_results(1);
    page.browser.eval("document.querySelectorAll('.actions button').forEach(button => button.click())");
    let [record, saved] = ["json", "html"].map(|extension| downloads.join(format!("my-fake-candling.{extension}")));
    support::wait_until("both files are saved", || [&record, &saved].iter().all(|path| path.is_file()));
    let record: Value = serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
    assert_eq!((&record["result"]["path"], &record["result"]["verdict"]), (&"my fake.jpg".into(), &"fake".into()));
    assert_eq!(record["schema_version"], 1);
    page.assert_quiet();
    // The saved page needs nothing else.
    page.browser.open(&saved);
    let before = page.browser.requests().len();
    assert!(page.text().contains("Traces of generation"));
    assert_eq!(page.browser.eval("[...document.images].every(image => image.naturalWidth > 0)"), true);
    assert_eq!(page.browser.eval("document.scripts.length"), 0);
    assert_eq!(page.browser.requests().len(), before);
}

#[test]
fn form_works_without_javascript() {
    let Some(mut page) = Page::open(1280) else { return };
    page.browser.disable_scripts();
    let url = page.server.url();
    page.browser.open_url(&url);
    assert_eq!(page.browser.eval("document.getElementById('submit').checkVisibility()"), true);
    assert!(page.text().contains("Without JavaScript"));
    let file = page.file("fake.jpg", &jpeg(64, 48));
    page.choose(&[file]);
    page.browser.eval("document.getElementById('submit').focus()");
    page.browser.press(" ", 32);
    page.wait_for("document.querySelector('.verdict .title')?.textContent === 'Traces of generation'");
    assert_eq!(page.browser.eval("[...document.images].every(image => image.naturalWidth > 0)"), true);
    let styled = "getComputedStyle(document.querySelector('.result')).borderRadius !== '0px'";
    assert_eq!(page.browser.eval(styled), true, "the policy allows the style of the page");
    assert_eq!(page.browser.eval("document.querySelector('.back a').getAttribute('href')"), "/");
    page.assert_quiet();
}

#[test]
fn cancelled_pictures_are_not_checked() {
    let Some(mut page) = Page::open(1280) else { return };
    let files: Vec<PathBuf> = (0..6).map(|number| page.file(&format!("slow-{number}"), b"slow")).collect();
    page.choose(&files);
    page.browser.eval("[...document.querySelectorAll('#list button')].slice(3).forEach(button => button.click())");
    page.wait_for_results(3);
    let states = page.strings("[...document.querySelectorAll('#list .state')].map(state => state.textContent)");
    assert_eq!(states[3..], ["cancelled"; 3]);
    assert_eq!(page.server.seen().len(), 3);
    page.assert_quiet();
}

/// If `CANDLING_SCREENSHOTS` is set, the screenshots are kept in that folder.
#[test]
fn fits_narrow_windows_and_has_enough_contrast_in_both_themes() {
    let Some(mut page) = Page::open(360) else { return };
    let target = std::env::var_os("CANDLING_SCREENSHOTS").map(PathBuf::from);
    let files = [
        page.file(
            "a very long name of a file that somebody has saved from a messenger_fake_2026-11-29.jpg",
            &jpeg(640, 480),
        ),
        page.file("inconclusive.jpg", &jpeg(300, 500)),
        page.file("plain.jpg", &jpeg(90, 60)),
        page.file("broken.jpg", b"no picture"),
    ];
    page.choose(&files);
    page.wait_for_results(4);
    for width in [320, 360, 768, 1280] {
        page.browser.resize(width, 900);
        let overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(page.browser.eval(overflow), 0, "{width}");
        for scheme in ["light", "dark"] {
            page.browser.set_colour_scheme(scheme);
            assert_eq!(page.browser.eval(CONTRAST), "", "{width} {scheme}");
            if let Some(target) = &target {
                save(&mut page.browser, target, &format!("page-{width}-{scheme}.png"));
            }
        }
    }
    // The heat map covers the part of the picture that it is of.
    let places = page.browser.eval(
        "(() => { const [base, heat] = ['.base', '.heat'].map(name => document.querySelector(name).getBoundingClientRect());
           return [(heat.left - base.left) / base.width, (heat.right - base.left) / base.width, heat.height / base.height]; })()",
    );
    let places: Vec<f64> = serde_json::from_value(places).unwrap();
    for (place, expected) in places.iter().zip([0.25, 0.75, 1.0]) {
        assert!((place - expected).abs() < 0.02, "{places:?}");
    }
    page.assert_quiet();
}

fn save(browser: &mut Browser, target: &Path, name: &str) {
    std::fs::create_dir_all(target).unwrap();
    std::fs::write(target.join(name), STANDARD.decode(browser.screenshot()).unwrap()).unwrap();
}
