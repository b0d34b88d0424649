//! Selection and rejection of files, assignment of splits, and independence of the number of threads.

use artifacts::Split;
use artifacts::schema::{ExactDuplicates, Verdict};
use pixels::encode::{Subsampling, jpeg};

use crate::common::{Workplace, patches, picture};

#[test]
fn lists_unusable_files_with_their_reasons() {
    let place = Workplace::new();
    place.add_splits(&["train", "test"], 10);
    let whole = picture(5000);
    let grey = jpeg(&pixels::RgbImage::from_fn(32, 32, |_, _| [90; 3]), 90, Subsampling::Quarter).unwrap();
    place
        .add("train/fake/cut.jpg", &whole[..whole.len() - 3])
        .add("train/fake/empty.jpg", b"")
        .add("train/fake/page.jpg", b"<html>403</html>")
        .add("train/fake/grey.jpg", &grey)
        .add("train/other/5.jpg", &picture(5001))
        .add("train/real/copy.jpg", &picture(1000))
        .add("train/real/contradiction.jpg", &picture(1001));
    let ingested = place.ingest("run", &place.path("data"), &["max_rejected=0.2"]).done();
    let reasons = ingested.reasons();
    let reasons: Vec<_> = reasons.iter().map(|(path, reason)| (path.as_str(), reason.as_str())).collect();
    assert_eq!(
        reasons,
        [
            ("test/fake/0.jpg", "conflicting_labels"),
            ("train/fake/cut.jpg", "truncated"),
            ("train/fake/empty.jpg", "empty"),
            ("train/fake/grey.jpg", "blank"),
            ("train/fake/page.jpg", "not_an_image"),
            ("train/other/5.jpg", "no_label"),
            ("train/real/contradiction.jpg", "conflicting_labels"),
            ("train/real/copy.jpg", "duplicate"),
        ]
    );
    assert_eq!(ingested.summary().rejected_by_reason["conflicting_labels"], 2);
    assert_eq!(ingested.audit().exact_duplicates.unwrap().across_labels, 2);
    assert!(ingested.paths(Split::Test).contains(&"test/real/0.jpg".to_owned()));
}

#[test]
fn uses_an_image_that_lacks_only_its_end_and_warns() {
    let place = Workplace::new();
    let whole = picture(5000);
    place.add_splits(&["train", "test"], 10).add("train/fake/endless.jpg", &whole[..whole.len() - 2]);
    let ingested = place.ingest("run", &place.path("data"), &[]).done();
    assert!(ingested.reasons().is_empty());
    let message = ingested.message();
    assert!(
        message.contains("`train/fake/endless.jpg`: the file lacks its end, but the image is complete"),
        "{message}"
    );
}

#[test]
fn fails_with_too_many_unusable_files() {
    let place = Workplace::new();
    place.add_splits(&["train"], 10).add("train/fake/a.jpg", b"a").add("train/fake/b.jpg", b"b");
    let message = place.ingest("run", &place.path("data"), &[]).failed(3);
    assert!(message.contains("2 of 22 images (9.1%) are unusable (2 not_an_image)"), "{message}");
}

#[test]
fn fails_without_a_usable_file_even_if_all_may_be_unusable() {
    let place = Workplace::new();
    for i in 0..6 {
        place.add(&format!("train/fake/{i}.jpg"), format!("<html>{i}").as_bytes());
    }
    let message = place.ingest("run", &place.path("data"), &["max_rejected=1"]).failed(3);
    assert!(message.contains("no image is left (6 not_an_image)"), "{message}");
}

#[test]
fn warns_of_files_without_a_label() {
    let place = Workplace::new();
    place.add_splits(&["train"], 20).add("train/cats/1.jpg", &picture(999));
    let message = place.ingest("run", &place.path("data"), &[]).done().message();
    let warning = "warning: 1 of 41 images have no known label and are not used; the first is \
                   `train/cats/1.jpg`: no folder of its path names a class; map one of them with --set ingest.labels.";
    assert!(message.contains(warning), "{message}");
}

#[test]
fn fails_with_too_many_unusable_files_before_the_second_pass_is_repeated() {
    let place = Workplace::new();
    place.add_near_duplicates();
    let cut = place.ingest("whole", &place.path("data"), &[]).done().message();
    assert!(cut.contains("assigning the splits again"), "{cut}");
    for i in 0..20 {
        place.add(&format!("train/fake/broken{i}.jpg"), format!("<html>{i}").as_bytes());
    }
    let message = place.ingest("run", &place.path("data"), &[]).failed(3);
    assert!(message.contains("20 not_an_image") && !message.contains("assigning the splits again"), "{message}");
    assert!(std::fs::read_to_string(place.path("run/rejected.jsonl")).unwrap().lines().count() == 20);
}

#[test]
fn warns_of_an_unexpected_number_of_images_of_the_expected_data_set() {
    let place = Workplace::new();
    place.add_splits(&["train"], 10);
    let messages = |run: &str, dataset: &str, train: u32| {
        let expected = format!("expected={{dataset='{dataset}', train={train}}}");
        place.ingest(run, &place.path("data"), &[&expected]).done().message()
    };
    let data = place.path("data").to_string_lossy().into_owned();
    let warning = "the source has 20 images, but ingest.expected states 21";
    assert!(messages("other", &data, 21).contains(warning));
    assert!(!messages("equal", &data, 20).contains("ingest.expected"));
    assert!(!messages("foreign", "kaggle:a/b", 21).contains("ingest.expected"));
}

#[test]
fn duplicates_do_not_count_as_unusable() {
    let place = Workplace::new();
    place.add_splits(&["train"], 10);
    for i in 0..30 {
        place.add(&format!("train/real/copy{i}.jpg"), &picture(0));
    }
    let ingested = place.ingest("run", &place.path("data"), &["max_rejected=0"]).done();
    assert_eq!(ingested.summary().rejected_by_reason["duplicate"], 30);
}

#[test]
fn duplicates_of_unusable_files_are_unusable() {
    let place = Workplace::new();
    place.add_splits(&["train", "test"], 10);
    let grey = jpeg(&pixels::RgbImage::from_fn(32, 32, |_, _| [90; 3]), 90, Subsampling::Quarter).unwrap();
    for i in 0..5 {
        place
            .add(&format!("train/fake/refused{i}.jpg"), b"<html>429</html>")
            .add(&format!("train/fake/grey{i}.jpg"), &grey)
            // An empty file is unusable, whatever its label.
            .add(&format!("train/{}/nothing{i}.jpg", if i == 0 { "real" } else { "fake" }), b"");
    }
    // A duplicate of a test image in training, and one within the training split.
    place.add("train/real/leak.jpg", &picture(1000)).add("train/real/copy.jpg", &picture(0));
    let ingested = place.ingest("run", &place.path("data"), &["max_rejected=0.3"]).done();
    let counts = ingested.summary().rejected_by_reason;
    let counts: Vec<_> = counts.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
    assert_eq!(counts, [("blank", 5), ("duplicate", 2), ("empty", 5), ("not_an_image", 5)]);
    let expected = ExactDuplicates { within_a_split: 1, across_splits: 1, across_labels: 0, leaked_test_images: 1 };
    assert_eq!(ingested.audit().exact_duplicates, Some(expected));
    assert!(ingested.message().contains("1 test images also occur in"), "{}", ingested.message());
    assert!(place.ingest("refused", &place.path("data"), &["max_rejected=0.2"]).failed(3).contains("27.3%"));
    assert!(ingested.rejected().iter().all(|row| row.id.is_some()));
}

#[test]
fn output_does_not_depend_on_the_number_of_threads() {
    let place = Workplace::new();
    place.add_splits(&["train"], 40).add("train/fake/cut.jpg", &picture(1)[..300]);
    let run = |name: &str, threads| {
        place.ingest_with_threads(name, &place.path("data"), &["shard_rows=13"], threads).done().files()
    };
    let one = run("one", 1);
    assert!(one.len() > 5, "{:?}", one.keys());
    assert_eq!(one, run("two", 2));
    assert_eq!(one, run("five", 5));
}

#[test]
fn limit_applies_to_each_class_and_split() {
    let place = Workplace::new();
    place.add_splits(&["train", "test"], 20);
    let ingested = place.ingest("run", &place.path("data"), &["limit=3"]).done();
    for (split, summary) in ingested.summary().splits {
        let expected = if split == Split::Val { 2 } else { 3 };
        assert!(summary.labels.values().all(|count| *count == expected), "{split}: {summary:?}");
    }
}

#[test]
fn skips_an_unchanged_source() {
    let place = Workplace::new();
    place.add_splits(&["train"], 10);
    place.ingest("run", &place.path("data"), &[]).done();
    let modified = || std::fs::metadata(place.path("run/ingest/manifest.json")).unwrap().modified().unwrap();
    let first = modified();
    place.ingest("run", &place.path("data"), &[]).done();
    assert_eq!(modified(), first);
    place.add("train/real/new.jpg", &picture(999));
    place.ingest("run", &place.path("data"), &[]).done();
    assert!(modified() > first);
}

#[test]
fn audit_names_a_shortcut_and_reencoding_removes_it() {
    let place = Workplace::new();
    let picture = |number: u32, quality| {
        let wave = |x: u32, y: u32, k: u32| {
            (128.0 + 90.0 * ((x * (1 + number % 5) + y * k + number * 13) as f32 * 0.07).sin()) as u8
        };
        let image = pixels::RgbImage::from_fn(48, 48, |x, y| [wave(x, y, 1), wave(x, y, 2), wave(y, x, 3)]);
        jpeg(&image, quality, Subsampling::Quarter).unwrap()
    };
    for i in 0..60 {
        place.add(&format!("real/{i}.jpg"), &picture(2 * i, 70)).add(&format!("fake/{i}.jpg"), &picture(2 * i + 1, 95));
    }
    let features = |set: &[&str], run: &str| {
        place.ingest(run, &place.path("data"), set).done();
        let text = std::fs::read(place.path(run).join("ingest/audit.json")).unwrap();
        let audit: artifacts::schema::Audit = serde_json::from_slice(&text).unwrap();
        audit.shortcuts.into_iter().map(|shortcut| shortcut.feature).collect::<Vec<_>>()
    };
    assert!(features(&[], "plain").contains(&"JPEG quality".to_owned()));
    let again = features(&["reencode={format='jpeg', quality=80}"], "again");
    assert!(!again.contains(&"JPEG quality".to_owned()), "{again:?}");
}

/// Adds an EXIF segment with the maker of the camera.
fn with_exif(jpeg: &[u8]) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x0f\0\x02\0\0\0\x04cam\0\0\0\0\0".to_vec();
    let mut file = vec![0xff, 0xd8, 0xff, 0xe1];
    file.extend((exif.len() as u16 + 2).to_be_bytes());
    file.append(&mut exif);
    file.extend(&jpeg[2..]);
    file
}

#[test]
fn strip_keeps_only_pixels() {
    let place = Workplace::new();
    for i in 0..40 {
        place.add(
            &format!("real/{i}.jpg"),
            &with_exif(&jpeg(&patches(2 * i, 64, 64), 90, Subsampling::Quarter).unwrap()),
        );
        place.add(&format!("fake/{i}.jpg"), &jpeg(&patches(2 * i + 1, 64, 64), 90, Subsampling::Quarter).unwrap());
    }
    let ingested = |run: &str, set: &[&str]| {
        let done = place.ingest(run, &place.path("data"), set).done();
        let text = std::fs::read(place.path(run).join("ingest/audit.json")).unwrap();
        let audit: artifacts::schema::Audit = serde_json::from_slice(&text).unwrap();
        let exif = audit.associations.into_iter().filter(|table| table.feature.starts_with("EXIF"));
        (done, exif.map(|table| table.bins.len()).collect::<Vec<_>>(), audit.shortcuts)
    };
    let (plain, exif, shortcuts) = ingested("plain", &[]);
    assert!(exif.contains(&2) && shortcuts.iter().any(|shortcut| shortcut.feature == "EXIF"), "{shortcuts:?}");
    let (stripped, exif, shortcuts) = ingested("stripped", &["strip=true"]);
    assert!(exif.iter().all(|&bins| bins == 1), "{exif:?}");
    assert!(!shortcuts.iter().any(|shortcut| shortcut.feature.starts_with("EXIF")), "{shortcuts:?}");
    for split in artifacts::Split::ALL {
        for sample in stripped.samples(split) {
            assert_eq!((sample.width, sample.height, sample.file_bytes, sample.format.as_str()), (0, 0, 0, ""));
        }
        assert_eq!(stripped.paths(split), plain.paths(split));
        assert_eq!(stripped.shards(split).pixels(0), plain.shards(split).pixels(0));
    }
}

#[test]
fn drops_near_duplicates_if_configured() {
    let place = Workplace::new();
    let save = |number, quality| jpeg(&patches(number, 64, 64), quality, Subsampling::Full).unwrap();
    for i in 0..10 {
        place
            .add(&format!("test/real/{i}.jpg"), &save(2 * i, 95))
            .add(&format!("test/fake/{i}.jpg"), &save(2 * i + 1, 95));
    }
    // Another JPEG quality makes a near-duplicate.
    place.add("train/real/resaved.jpg", &save(0, 80)).add("train/real/other.jpg", &save(100, 80));
    let reasons = |run: &str, set: &[&str]| place.ingest(run, &place.path("data"), set).done().reasons();
    assert!(reasons("all", &[]).is_empty());
    let reasons = reasons("fewer", &["drop_near_duplicates=true", "max_rejected=0"]);
    let reasons: Vec<_> = reasons.iter().map(|(path, reason)| (path.as_str(), reason.as_str())).collect();
    assert_eq!(reasons, [("train/real/resaved.jpg", "near_duplicate")]);
}

#[test]
fn near_duplicates_stay_in_one_split() {
    let place = Workplace::new();
    place.add_near_duplicates();
    let ingest = |run: &str, threads| place.ingest_with_threads(run, &place.path("data"), &[], threads).done();
    let ingested = ingest("run", 1);
    let audit = ingested.audit();
    let found = &audit.near_duplicates;
    assert_eq!((found.within_a_split, found.across_splits, found.leaked_val_images), (80, 0, Some(0)));
    assert_eq!(ingested.paths(Split::Val).len(), 16);
    assert_eq!(ingested.files(), ingest("again", 5).files());
}

#[test]
fn warns_of_divided_groups_even_without_an_audit() {
    let place = Workplace::new();
    // All real images are near-duplicates.
    for i in 0..20_u8 {
        place
            .add(&format!("real/{i}.jpg"), &jpeg(&patches(0, 64, 64), 70 + i, Subsampling::Full).unwrap())
            .add(&format!("fake/{i}.jpg"), &jpeg(&patches(1 + u32::from(i), 64, 64), 90, Subsampling::Full).unwrap());
    }
    let message = place.ingest("run", &place.path("data"), &["audit=false"]).done().message();
    for split in ["test", "val"] {
        let warning =
            format!("warning: every group of real images that belong together is too large for the {split} split");
        assert!(message.contains(&warning), "{message}");
    }
}

#[test]
fn audit_warns_of_validation_images_with_near_duplicates_in_training() {
    let place = Workplace::new();
    let save = |number, quality| jpeg(&patches(number, 64, 64), quality, Subsampling::Full).unwrap();
    for (number, class) in (0..80).zip(["real", "fake"].into_iter().cycle()) {
        place
            .add(&format!("train/{class}/{number}.jpg"), &save(number, 95))
            .add(&format!("test/{class}/{number}.jpg"), &save(1000 + number, 95));
        // The validation split comes from the source, so it does not change. Four of its twenty images have
        // near-duplicates.
        if number < 20 {
            place.add(&format!("val/{class}/{number}.jpg"), &save(if number < 4 { number } else { 2000 + number }, 80));
        }
    }
    let ingested = place.ingest("run", &place.path("data"), &[]).done();
    let audit = ingested.audit();
    assert_eq!(ingested.paths(Split::Val).len(), 20);
    let found = &audit.near_duplicates;
    assert_eq!((found.leaked_val_images, found.leaked_test_images), (Some(4), 0));
    let shortcut =
        audit.shortcuts.iter().find(|found| found.feature == "near-duplicates of validation images").unwrap();
    assert!(shortcut.explanation.starts_with("4 of 20 validation images"), "{}", shortcut.explanation);
    assert!(shortcut.explanation.contains("drop_near_duplicates"), "{}", shortcut.explanation);
}

#[test]
fn audit_of_ten_images_is_inconclusive() {
    let place = Workplace::new();
    place.add_splits(&["train"], 5);
    let few = place.ingest("few", &place.path("data"), &[]).done();
    let audit = few.audit();
    assert_eq!(
        (audit.images, audit.verdict, audit.detectable_roc_auc),
        (10, Verdict::Inconclusive, None),
        "{:?}",
        audit.shortcuts
    );
    let message = few.message();
    assert!(message.contains(&format!("audit: inconclusive, {}", audit.why_inconclusive().unwrap())), "{message}");
    assert!(!message.contains("audit: pass"), "{message}");

    place.add_splits(&["train"], 60);
    let enough = place.ingest("enough", &place.path("data"), &[]).done();
    assert_eq!((enough.audit().images, enough.audit().verdict), (120, Verdict::Pass), "{:?}", enough.audit().shortcuts);
    assert!(enough.message().contains("audit: pass"), "{}", enough.message());
}
