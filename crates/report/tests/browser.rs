//! Tests of the page in a browser: no errors, no requests, and exact numbers in its interactive parts.

use artifacts::RunDir;

use crate::support;
use crate::support::browser::Browser;
use crate::support::fixture::{self, RunSpec};

fn open(dir: &tempfile::TempDir, spec: RunSpec) -> Option<(Browser, RunDir)> {
    let mut browser = Browser::start()?;
    let run = fixture::write(dir.path(), spec);
    support::render(&run, &[]);
    browser.resize(1440, 900);
    browser.open(&run.report().join("index.html"));
    Some((browser, run))
}

fn count_of(browser: &mut Browser, cell: &str) -> u64 {
    let text = browser.eval(&format!("document.querySelector('#{cell} .count').textContent"));
    text.as_str().unwrap().replace(',', "").parse().unwrap()
}

fn matrix(browser: &mut Browser) -> [u64; 4] {
    ["tn", "fp", "fn", "tp"].map(|cell| count_of(browser, cell))
}

fn expected(spec: RunSpec, threshold: f64) -> [u64; 4] {
    let c = fixture::confusion(&fixture::predictions(spec, 0), threshold);
    [c.true_negative, c.false_positive, c.false_negative, c.true_positive]
}

#[test]
fn loads_nothing_and_reports_no_errors() {
    let dir = tempfile::tempdir().unwrap();
    let Some((mut browser, run)) = open(&dir, RunSpec::default()) else { return };
    let requests = browser.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(requests[0].starts_with("file://") && requests[0].ends_with("report/index.html"), "{requests:?}");
    assert_eq!(browser.errors(), Vec::<String>::new());
    // Markup in file names must not become elements.
    assert_eq!(browser.eval("document.scripts.length"), 2);
    assert_eq!(browser.eval("document.querySelectorAll('[onerror], img:not([src^=\"data:image/\"])').length"), 0);
    let page = support::read(&run, "index.html");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert_eq!(
        browser.eval(
            "[...document.images].every(image => image.alt && (image.loading === 'lazy' || image.naturalWidth > 0))"
        ),
        true
    );
    // Ids are unique, and all references to them resolve.
    let duplicate_ids =
        "[...document.querySelectorAll('[id]')].map(e => e.id).filter((id, i, ids) => ids.indexOf(id) !== i).join()";
    assert_eq!(browser.eval(duplicate_ids), "");
    let dangling_references = "[...document.querySelectorAll('[aria-labelledby], [aria-describedby]')]\
        .flatMap(e => `${e.getAttribute('aria-labelledby') ?? ''} ${e.getAttribute('aria-describedby') ?? ''}`.trim().split(/ +/))\
        .filter(id => !document.getElementById(id)).join()";
    assert_eq!(browser.eval(dangling_references), "");
}

#[test]
fn slider_shows_exact_counts() {
    let dir = tempfile::tempdir().unwrap();
    let spec = RunSpec::default();
    let Some((mut browser, _)) = open(&dir, spec) else { return };
    assert_eq!(matrix(&mut browser), expected(spec, 0.5));
    for step in [0, 1, 137, 500, 641, 999, 1000] {
        browser.eval(&format!(
            "(() => {{ const s = document.getElementById('threshold-slider'); s.value = {step}; \
             s.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"
        ));
        let threshold = f64::from(step) / 1000.0;
        assert_eq!(matrix(&mut browser), expected(spec, threshold), "at {threshold}");
        let [tn, fp, fn_, tp] = expected(spec, threshold).map(|count| count as f64);
        let accuracy = browser.eval("document.getElementById('rate-accuracy').textContent");
        assert_eq!(accuracy, format!("{:.3}", (tn + tp) / (tn + fp + fn_ + tp)), "at {threshold}");
        // The marker is on the ROC curve at this threshold.
        let marker = "(a => Number(document.querySelector('#figure-roc .marker circle').getAttribute(a)))";
        let panel = "document.getElementById('figure-roc').dataset.panel.split(' ').map(Number)";
        let x = browser.eval(&format!("(({marker})('cx') - {panel}[0]) / {panel}[2]")).as_f64().unwrap();
        let y = browser.eval(&format!("1 - (({marker})('cy') - {panel}[1]) / {panel}[3]")).as_f64().unwrap();
        assert!((x - fp / (fp + tn)).abs() < 1e-9 && (y - tp / (tp + fn_)).abs() < 1e-9, "({x}, {y}) at {threshold}");
    }
    assert_eq!(browser.errors(), Vec::<String>::new());
}

#[test]
fn threshold_buttons_and_keyboard_work() {
    let dir = tempfile::tempdir().unwrap();
    let spec = RunSpec::default();
    let Some((mut browser, _)) = open(&dir, spec) else { return };
    let names = browser.eval("[...document.querySelectorAll('[data-named]')].map(b => b.textContent).join()");
    assert_eq!(names, "0.5,fitted on validation,1% false alarms,5% false alarms");
    let press = |browser: &mut Browser, i: usize| {
        browser.eval(&format!("document.querySelector('[data-named=\"{i}\"]').click()"));
    };
    press(&mut browser, 1);
    // In the fixture, the calibrated threshold 0.462 corresponds to the uncalibrated score 0.45.
    assert_eq!(matrix(&mut browser), expected(spec, 0.45));
    press(&mut browser, 2);
    let [tn, fp, ..] = matrix(&mut browser);
    assert!(fp * 100 <= tn + fp && (fp + 1) * 100 > tn + fp, "{fp} of {}", tn + fp);
    press(&mut browser, 0);
    browser.eval("document.getElementById('threshold-slider').focus()");
    browser.press("ArrowRight", 39);
    assert_eq!(browser.eval("document.getElementById('threshold-slider').value"), "501");
    assert_eq!(matrix(&mut browser), expected(spec, 0.501));
    browser.eval("(n => { n.value = '0.2'; n.dispatchEvent(new Event('change')); })(document.getElementById('threshold-number'))");
    assert_eq!(matrix(&mut browser), expected(spec, 0.2));
    assert_eq!(browser.eval("document.getElementById('confusion-threshold').textContent"), "0.2");
}

#[test]
fn gallery_filters_and_sorts() {
    let dir = tempfile::tempdir().unwrap();
    let Some((mut browser, _)) = open(&dir, RunSpec::default()) else { return };
    let set = |browser: &mut Browser, id: &str, value: &str| {
        browser.eval(&format!(
            "(e => {{ e.value = {value:?}; e.dispatchEvent(new Event('input', {{bubbles: true}})); }})(document.getElementById('{id}'))"
        ));
    };
    let shown = "[...document.querySelectorAll('.card')].filter(card => card.offsetParent !== null)";
    let count = |browser: &mut Browser| browser.eval(&format!("{shown}.length")).as_u64().unwrap();
    let all = count(&mut browser);
    assert!(all > 12, "{all}");
    set(&mut browser, "gallery-kind", "false-negative");
    let missed = count(&mut browser);
    assert!(missed > 0 && missed < all);
    assert_eq!(browser.eval("document.getElementById('gallery-count').textContent"), format!("{missed} images"));
    assert_eq!(
        browser.eval(&format!("{shown}.every(c => c.querySelector('.label.fake') && Number(c.dataset.p) < 0.5)")),
        true
    );
    set(&mut browser, "gallery-sort", "ascending");
    let order = format!("{shown}.map(c => Number(c.dataset.p)).every((p, i, all) => i === 0 || all[i - 1] <= p)");
    assert_eq!(browser.eval(&order), true);
    set(&mut browser, "gallery-sort", "descending");
    assert_eq!(browser.eval(&order), false);
    set(&mut browser, "gallery-kind", "");
    set(&mut browser, "gallery-generator", fixture::HOSTILE_GENERATOR);
    let hostile = count(&mut browser);
    assert!(hostile > 0 && hostile < all);
    set(&mut browser, "gallery-generator", "");
    set(&mut browser, "gallery-search", "ALERT(1)");
    assert!(count(&mut browser) >= 1 && count(&mut browser) < all);
    set(&mut browser, "gallery-search", "no such file");
    assert_eq!(count(&mut browser), 0);
    set(&mut browser, "gallery-search", "");
    assert_eq!(count(&mut browser), all);
    assert_eq!(browser.errors(), Vec::<String>::new());
}

#[test]
fn shows_values_under_the_pointer() {
    let dir = tempfile::tempdir().unwrap();
    let Some((mut browser, _)) = open(&dir, RunSpec::default()) else { return };
    let tip = "(t => t.hidden ? '' : t.textContent)(document.getElementById('tooltip'))";
    browser.eval("document.documentElement.style.scrollBehavior = 'auto'; document.getElementById('figure-roc').scrollIntoView({block: 'center'})");
    assert_eq!(browser.eval(tip), "");
    let at = |browser: &mut Browser, axis: &str| {
        let expression =
            format!("document.querySelector('#figure-roc .marker circle').getBoundingClientRect().{axis} + 5");
        browser.eval(&expression).as_f64().unwrap()
    };
    let (x, y) = (at(&mut browser, "x"), at(&mut browser, "y"));
    browser.move_pointer(x, y);
    let text = browser.eval(tip);
    assert!(text.as_str().unwrap().contains("false-positive rate 0."), "{text}");
    browser.move_pointer(5.0, 5.0);
    assert_eq!(browser.eval(tip), "");
}

#[test]
fn shows_the_default_threshold_without_scripts() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut browser) = Browser::start() else { return };
    let spec = RunSpec::default();
    let run = fixture::write(dir.path(), spec);
    support::render(&run, &[]);
    browser.disable_scripts();
    browser.open(&run.report().join("index.html"));
    assert_eq!(matrix(&mut browser), expected(spec, 0.5));
    assert_eq!(browser.eval("document.querySelectorAll('form:not([hidden])').length"), 0);
    assert_eq!(browser.eval("document.querySelectorAll('svg.figure').length >= 7"), true);
}

#[test]
fn fits_the_width_of_a_phone() {
    let dir = tempfile::tempdir().unwrap();
    let Some((mut browser, _)) = open(&dir, RunSpec::default()) else { return };
    browser.resize(390, 844);
    assert_eq!(browser.eval("document.documentElement.scrollWidth"), 390);
    let wide = "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > 391 && \
        !e.closest('.scroll, .broad')).map(e => e.outerHTML.slice(0, 80)).slice(0, 5).join('\\n')";
    assert_eq!(browser.eval(wide), "");
}

#[test]
fn text_has_enough_contrast_in_both_themes() {
    let dir = tempfile::tempdir().unwrap();
    let Some((mut browser, _)) = open(&dir, RunSpec { simulated: true, ..RunSpec::default() }) else { return };
    for scheme in ["light", "dark"] {
        browser.set_colour_scheme(scheme);
        let low_contrast = browser.eval(include_str!("support/contrast.js"));
        assert_eq!(low_contrast, "", "{scheme}");
    }
}

#[test]
fn no_curve_or_text_covers_text_of_a_figure() {
    for (fakes, runs) in [(true, 3), (true, 1), (false, 2)] {
        let dir = tempfile::tempdir().unwrap();
        let Some((mut browser, _)) = open(&dir, RunSpec { fakes, runs, ..RunSpec::default() }) else { return };
        let texts = browser.eval("document.querySelectorAll('svg.figure g.legend text').length").as_u64().unwrap();
        assert!(texts >= 4, "{texts} texts in legends");
        for width in [1440, 390] {
            browser.resize(width, 900);
            assert_eq!(browser.eval(include_str!("support/overlaps.js")), "", "{width} pixels wide");
        }
    }
}

/// If `CANDLING_SCREENSHOTS` is set, the screenshots are kept in that folder. If `CANDLING_RUN` is set, the report of
/// that run is used instead of the report of the fixture.
#[test]
fn screenshots_and_print_cover_whole_page() {
    let Some(mut browser) = Browser::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let target = std::env::var_os("CANDLING_SCREENSHOTS").map_or_else(|| dir.path().join("screenshots"), Into::into);
    let run = match std::env::var_os("CANDLING_RUN") {
        Some(run) => RunDir::new(run),
        None => {
            let run = fixture::write(dir.path(), RunSpec::default());
            support::render(&run, &[]);
            run
        }
    };
    std::fs::create_dir_all(&target).unwrap();
    for (name, width, scheme) in [("wide", 1440, "light"), ("dark", 1440, "dark"), ("narrow", 390, "light")] {
        browser.resize(width, 900);
        browser.set_colour_scheme(scheme);
        browser.open(&run.report().join("index.html"));
        browser.eval("document.querySelectorAll('img').forEach(image => image.loading = 'eager')");
        browser.eval("Promise.all([...document.images].map(image => image.decode()))");
        let height = browser.eval("document.documentElement.scrollHeight").as_u64().unwrap();
        browser.resize(width, height as u32);
        let png = browser.screenshot();
        assert!(png.starts_with("iVBORw0KGgo"), "{name} is no PNG");
        std::fs::write(target.join(format!("{name}.png.base64")), png).unwrap();
    }
    browser.set_colour_scheme("light");
    let pdf = browser.print();
    assert!(pdf.starts_with("JVBERi0"), "the print is no PDF");
    std::fs::write(target.join("print.pdf.base64"), pdf).unwrap();
}
