//! Each protocol of folders in `benchmarks/` on a tiny tree of its layout. `table_benchmarks` has the others.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use artifacts::{Label, Split};
use judge::benchmark::{self, Listing, Protocol};
use tempfile::TempDir;

use Label::{Fake, Real};

use crate::support::Scene;
use crate::table_benchmarks;

fn protocols() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benchmarks")
}

pub(crate) fn protocol(name: &str) -> Protocol {
    Protocol::read(&protocols().join(format!("{name}.toml"))).unwrap()
}

/// Writes a file into each folder. Returns the root.
fn tree(folders: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for folder in folders {
        fs::create_dir_all(root.path().join(folder)).unwrap();
        fs::write(root.path().join(folder).join("1.png"), folder).unwrap();
    }
    root
}

/// A protocol, and the class, the split and the generators of the image in each folder.
type Case = (&'static str, &'static [(&'static str, Label, Split, &'static str)]);

const TEST: Split = Split::Test;

const CASES: &[Case] = &[
    (
        "forensynths",
        &[
            ("progan/car/0_real", Real, TEST, "progan"),
            ("progan/car/1_fake", Fake, TEST, "progan"),
            ("biggan/0_real", Real, TEST, "biggan"),
            ("biggan/1_fake", Fake, TEST, "biggan"),
        ],
    ),
    (
        "universal-fake-detect",
        &[
            ("imagenet/0_real", Real, TEST, "guided"),
            ("laion/0_real", Real, TEST, "ldm_100;ldm_200;ldm_200_cfg;glide_50_27;glide_100_10;glide_100_27;dalle"),
            ("guided/1_fake", Fake, TEST, "guided"),
            ("dalle/1_fake", Fake, TEST, "dalle"),
        ],
    ),
    (
        "genimage",
        &[
            ("Midjourney/imagenet_midjourney/val/nature", Real, TEST, "Midjourney"),
            ("Midjourney/imagenet_midjourney/val/ai", Fake, TEST, "Midjourney"),
            ("Midjourney/imagenet_midjourney/train/ai", Fake, Split::Train, "Midjourney"),
            // The case of a folder does not matter.
            ("adm/val/ai", Fake, TEST, "ADM"),
        ],
    ),
    (
        "aigibench",
        &[
            ("test/R3GAN/0_real", Real, TEST, "R3GAN"),
            ("test/R3GAN/1_fake", Fake, TEST, "R3GAN"),
            ("train/car/1_fake", Fake, Split::Train, ""),
        ],
    ),
    (
        "wildrf",
        &[
            ("test/reddit/0_real", Real, TEST, "reddit"),
            ("test/reddit/1_fake", Fake, TEST, "reddit"),
            ("val/0_real", Real, Split::Val, ""),
        ],
    ),
    ("chameleon", &[("test/0_real", Real, TEST, ""), ("test/1_fake", Fake, TEST, "chameleon")]),
    (
        "synthwildx",
        &[
            ("real", Real, TEST, ""),
            ("dalle3", Fake, TEST, "dalle3"),
            ("firefly", Fake, TEST, "firefly"),
            ("midjourney_v5", Fake, TEST, "midjourney_v5"),
        ],
    ),
    ("synthbuster", &[("real", Real, TEST, ""), ("dalle2", Fake, TEST, "dalle2"), ("glide", Fake, TEST, "glide")]),
    (
        "diffusion-forensics",
        &[
            ("images/test/lsun_bedroom/real", Real, TEST, ""),
            ("images/test/lsun_bedroom/adm", Fake, TEST, "adm"),
            ("images/train/imagenet/real", Real, Split::Train, ""),
            ("images/val/imagenet/adm/n01440764", Fake, Split::Val, "adm"),
        ],
    ),
    (
        "drct-2m",
        &[
            ("MSCOCO/val2017", Real, TEST, ""),
            ("ldm-text2im-large-256/val2017", Fake, TEST, "ldm-text2im-large-256"),
            ("ldm-text2im-large-256/train2017", Fake, Split::Train, "ldm-text2im-large-256"),
        ],
    ),
    (
        "deepdetect-2025",
        &[
            ("ddata/test/real", Real, TEST, ""),
            ("ddata/test/fake", Fake, TEST, "unknown"),
            ("ddata/train/fake", Fake, Split::Train, "unknown"),
        ],
    ),
];

fn listing(name: &str, folders: &[&str]) -> (Listing, TempDir) {
    let root = tree(folders);
    (benchmark::list(&protocol(name), root.path()).unwrap(), root)
}

#[test]
fn every_protocol_reads_its_layout() {
    let names = CASES.iter().map(|(name, _)| *name).chain(table_benchmarks::NAMES);
    let tested: BTreeSet<String> = names.map(|name| format!("{name}.toml")).collect();
    let files: BTreeSet<String> = fs::read_dir(protocols())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    assert_eq!(tested, files, "each protocol needs a case");
    for (name, expected) in CASES {
        let folders: Vec<&str> = expected.iter().map(|case| case.0).collect();
        let (listing, _root) = listing(name, &folders);
        for (folder, label, split, generators) in *expected {
            let path = format!("{folder}/1.png");
            let image = listing.images.iter().find(|image| image.path == path);
            let image = image.unwrap_or_else(|| panic!("{name}: `{path}` is not listed"));
            assert_eq!((image.label, image.split), (*label, *split), "{name}: {path}");
            assert_eq!(image.generators.join(";"), *generators, "{name}: {path}");
        }
        assert_eq!(listing.unknown.count, 0, "{name}: {:?}", listing.unknown.first);
    }
}

#[test]
fn names_what_a_copy_lacks() {
    let root = tree(&["real", "dalle2", "glide", "unknown-generator"]);
    fs::write(root.path().join("glide/empty.png"), "").unwrap();
    fs::write(root.path().join("glide/notes.txt"), "text").unwrap();
    let listing = benchmark::list(&protocol("synthbuster"), root.path()).unwrap();
    assert_eq!((listing.empty.count, listing.unknown.count, listing.images.len()), (1, 1, 3));
    assert_eq!(listing.unknown.first, ["unknown-generator/1.png"]);
    let has = |text: &str| listing.lacking.iter().any(|lacking| lacking == text);
    assert!(has("`dalle2` has 1 fakes, but the benchmark has 1000"), "{:?}", listing.lacking);
    assert!(has("`firefly` has 0 fakes, but the benchmark has 1000"));
    let (listing, _root) = self::listing("universal-fake-detect", &["laion/0_real", "dalle/1_fake"]);
    assert!(listing.lacking.contains(&"`guided` has no fakes".to_owned()));
    assert!(listing.lacking.contains(&"`guided` has no real images".to_owned()));
    let (listing, _root) = self::listing("synthwildx", &["real", "firefly"]);
    assert!(listing.lacking.contains(&"`firefly` has 1 real images, but the benchmark has 500".to_owned()));
    let other = tree(&["cats", "dogs"]);
    let message = benchmark::list(&protocol("wildrf"), other.path()).unwrap_err().to_string();
    assert!(message.contains("no test images of both classes") && message.contains("test/reddit"), "{message}");
}

#[test]
fn fakes_are_compared_with_the_real_images_of_their_generator() {
    let scene = Scene::new();
    // The detector is right about biggan, and wrong about the real images of progan.
    let rows: Vec<(String, f64)> = ["biggan", "progan"]
        .into_iter()
        .flat_map(|generator| {
            (0..10).flat_map(move |i| {
                let noise = f64::from(i) / 100.0;
                let real = if generator == "progan" { 0.7 } else { 0.1 };
                [("0_real", real), ("1_fake", 0.6)]
                    .map(|(class, score)| (format!("{generator}/{class}/{i}.png"), score + noise))
            })
        })
        .collect();
    for (path, _) in &rows {
        scene.write(&format!("forensynths/{path}"), path);
    }
    let root = scene.path("forensynths");
    let listing = benchmark::list(&protocol("forensynths"), &root).unwrap();
    let list = scene.path("images.csv");
    benchmark::write(&listing, &root, &list, false).unwrap();
    let rows: Vec<String> = rows.iter().map(|(path, score)| format!("{path},{score}")).collect();
    let file = scene.csv("scores.csv", "path,score", &rows);
    let judged = |own_reals: bool| {
        let run = scene.judge(std::slice::from_ref(&file), |request| {
            request.config.data = Some(list.to_string_lossy().into_owned());
            request.config.own_reals = own_reals;
        });
        run.unwrap().remove(0).metrics
    };
    let areas = |own_reals: bool| -> Vec<(String, u64, f64)> {
        let groups = judged(own_reals).runs.remove(0).generators.groups;
        groups.into_iter().map(|group| (group.name, group.reals, group.scores.roc_auc.unwrap())).collect()
    };
    assert_eq!(areas(true), [("biggan".to_owned(), 10, 1.0), ("progan".to_owned(), 10, 0.0)]);
    assert_eq!(areas(false), [("biggan".to_owned(), 20, 0.5), ("progan".to_owned(), 20, 0.5)]);
    assert_eq!(judged(true).headline, judged(false).headline);
    // The list for ingest has the test images, whose real ones name no generator.
    benchmark::write(&listing, &root, &list, true).unwrap();
    let text = fs::read_to_string(&list).unwrap();
    assert!(text.lines().any(|line| line.ends_with("/progan/0_real/3.png,real,test,")), "{text}");
}
