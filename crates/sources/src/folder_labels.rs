//! Labels, splits and generators from the names of the folders above an image.
//!
//! Public data sets are trees whose folders are named after classes, splits, generators and subjects, in any order. The
//! names are interpreted as follows; their sorting order has no effect:
//! - The label comes from the deepest folder mapped in `[ingest.labels]`. Without such a folder, it comes from the
//!   folder that is named after a class. If the folders name both classes (`fake/nature`), the image is rejected.
//! - Folders that all images share, and the name of the source itself, are used only if no other folder names a class.
//! - The split comes from the outermost folder that is named after one.
//! - The generator of a fake is `ingest.generator`, or else the folder mapped in `[ingest.labels]`, or else the
//!   outermost folder that names neither a class nor a split. Shared folders above the class are not used.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use artifacts::Label;
use artifacts::text::{shell_word, visible};

use crate::config::SourceConfig;
use crate::error::SourceError;
use crate::name_map::NameMap;
use crate::rejection::Rejection;
use crate::source::Entry;

/// The largest number of folder names that an error lists.
const LISTED: usize = 12;

/// Determines labels, splits and generators for the paths of one source.
pub(crate) struct FolderLabels {
    names: NameMap,
    /// The number of outermost folders that all images share.
    shared: usize,
    /// The label of the shared folders or of the source's name, used if no other folder names a class; or the label
    /// that is set for all images.
    common: Option<Label>,
    /// Whether a label is set for all images, so that the names of folders do not matter.
    is_set: bool,
}

impl FolderLabels {
    /// Examines the `paths` of all images, which have `/` between their parts and are below the folder or file `root`.
    ///
    /// # Errors
    /// [`SourceError::NoLabels`] if no path has a label, and [`SourceError::AmbiguousFolders`] if the folders that all images
    /// share name both classes.
    pub(crate) fn new<'a>(
        paths: impl Iterator<Item = &'a str> + Clone,
        root: &Path,
        config: &SourceConfig,
    ) -> Result<FolderLabels, SourceError> {
        let mut labels = FolderLabels {
            names: NameMap::new(config),
            shared: shared_folders(paths.clone()),
            common: config.label,
            is_set: config.label.is_some(),
        };
        if labels.is_set {
            return Ok(labels);
        }
        if paths.clone().any(|path| !matches!(labels.class(folders(path).skip(labels.shared)), Ok(None))) {
            return Ok(labels);
        }
        let root_name = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let shared = paths.clone().next().into_iter().flat_map(folders).take(labels.shared);
        let class = match labels.class(shared) {
            Ok(None) => labels.class(std::iter::once(root_name.as_str())),
            shared => shared,
        };
        match class {
            Ok(None) => {}
            Ok(Some((_, label))) => {
                labels.common = Some(label);
                return Ok(labels);
            }
            Err(Rejection { detail, .. }) => {
                return Err(SourceError::AmbiguousFolders { path: root.to_owned(), detail });
            }
        }
        let folders: BTreeSet<&str> = paths.flat_map(folders).collect();
        let more =
            if folders.len() > LISTED { format!(" … and {} more", folders.len() - LISTED) } else { String::new() };
        let listed: Vec<String> = folders.iter().take(LISTED).map(|folder| visible(folder)).collect();
        let advice = labels.advice(&folders);
        Err(SourceError::NoLabels {
            path: root.to_owned(),
            folders: if listed.is_empty() { "none".to_owned() } else { listed.join(", ") + &more },
            advice,
        })
    }

    /// Says how to label the images of a source with these `folders`, none of which names a class.
    fn advice(&self, folders: &BTreeSet<&str>) -> String {
        let nameable = |folder: &&&str| self.names.split(folder).is_none() && visible(folder) == **folder;
        let mut last: Vec<&str> = folders.iter().rev().filter(nameable).take(2).copied().collect();
        last.reverse();
        let labels = if last.len() == 2 { [Label::Real, Label::Fake].as_slice() } else { &[Label::Fake] };
        let options: Vec<String> =
            last.iter().zip(labels).map(|(folder, label)| format!("--set {}", setting(folder, *label))).collect();
        if options.is_empty() {
            "put the images of each class into a folder named `real` or `fake`, or list them in a .csv with the columns \
             path,label"
                .to_owned()
        } else {
            format!("map their names to classes, e.g. {}", options.join(" "))
        }
    }

    /// Returns the entry of a path.
    pub(crate) fn entry(&self, path: &str) -> Entry {
        let class = self.class(folders(path).skip(self.shared));
        let label = match &class {
            Ok(named) => named.map(|(_, label)| label).or(self.common).ok_or_else(Rejection::no_folder_label),
            Err(rejection) => Err(rejection.clone()),
        };
        let generator = match (&label, &self.names.generator, class) {
            (Ok(Label::Fake), Some(generator), _) => generator,
            (Ok(Label::Fake), None, Ok(Some((folder, _)))) if self.names.configured_label(folder).is_some() => folder,
            (Ok(Label::Fake), None, _) => self.generator(path),
            _ => "",
        };
        Entry {
            path: visible(path),
            label,
            split: folders(path).find_map(|folder| self.names.split(folder)),
            generator: visible(generator),
            columns: BTreeMap::new(),
            group: String::new(),
        }
    }

    /// Returns the deepest folder that names a class, and its label. `folders` are the folders of one path, outermost
    /// first.
    fn class<'a>(&self, folders: impl Iterator<Item = &'a str>) -> Result<Option<(&'a str, Label)>, Rejection> {
        if self.is_set {
            return Ok(None);
        }
        let (mut configured, mut named, mut conflict) = (None, None, None);
        for folder in folders {
            if let Some(label) = self.names.configured_label(folder) {
                configured = Some((folder, label));
            } else if let Some(label) = Label::from_name(folder) {
                conflict = conflict.or(named.filter(|(_, outer)| *outer != label).map(|(outer, _)| (outer, folder)));
                named = Some((folder, label));
            }
        }
        match (configured, conflict) {
            (None, Some((outer, inner))) => Err(Rejection::ambiguous_folders(&visible(outer), &visible(inner))),
            _ => Ok(configured.or(named)),
        }
    }

    /// Returns the outermost folder that names neither a class nor a split. Folders that all images share are used only
    /// if they are below the class that all images share.
    fn generator<'a>(&self, path: &'a str) -> &'a str {
        let is_generator = |folder: &&str| self.names.label(folder).is_none() && self.names.split(folder).is_none();
        let below_common_class = || {
            self.common?;
            let shared = || folders(path).take(self.shared);
            // The class may be in the source's own name, which is above all folders.
            let class = shared().position(|folder| self.names.label(folder).is_some()).unwrap_or(0);
            shared().skip(class).find(is_generator)
        };
        folders(path).skip(self.shared).find(is_generator).or_else(below_common_class).unwrap_or_default()
    }
}

/// Returns the setting that labels a folder, quoted for TOML and for the shell where necessary.
fn setting(folder: &str, label: Label) -> String {
    let is_bare = folder.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let key =
        if is_bare { folder.to_owned() } else { format!("\"{}\"", folder.replace('\\', r"\\").replace('"', "\\\"")) };
    shell_word(&format!("ingest.labels.{key}={label}"))
}

/// Returns the folders of a path, outermost first.
fn folders(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    let parents = path.rsplit_once('/').map_or("", |(parents, _)| parents);
    parents.split('/').filter(|part| !part.is_empty())
}

/// Returns the number of outermost folders that all paths share.
fn shared_folders<'a>(mut paths: impl Iterator<Item = &'a str>) -> usize {
    let mut shared: Vec<&str> = paths.next().map(|path| folders(path).collect()).unwrap_or_default();
    for path in paths {
        let common = shared.iter().zip(folders(path)).take_while(|(a, b)| **a == *b).count();
        shared.truncate(common);
    }
    shared.len()
}

#[cfg(test)]
mod tests {
    use artifacts::Split;

    use super::*;

    /// Returns the entry of each path as text: `label split generator`.
    fn read(paths: &[&str], config: &SourceConfig) -> Vec<String> {
        let labels = FolderLabels::new(paths.iter().copied(), Path::new("root"), config).unwrap();
        let show = |path: &&str| {
            let Entry { label, split, generator, .. } = labels.entry(path);
            let word = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            let label = label.ok().map(|label| label.to_string());
            format!("{} {} {generator}", word(label), word(split.map(|split| split.to_string())))
        };
        paths.iter().map(show).collect()
    }

    #[test]
    fn reads_the_layouts_of_public_data_sets() {
        let plain = SourceConfig::default();
        let sets: [(&[&str], &[&str]); 7] = [
            // DeepDetect-2025, 140k Real and Fake Faces, CIFAKE
            (&["ddata/train/real/1.jpg", "ddata/test/fake/2.jpg"], &["real train ", "fake test "]),
            (
                &["real_vs_fake/real-vs-fake/valid/real/1.jpg", "real_vs_fake/real-vs-fake/train/fake/1.jpg"],
                &["real val ", "fake train "],
            ),
            (&["train/REAL/1.jpg", "test/FAKE/1.jpg"], &["real train ", "fake test "]),
            // ForenSynths, GenImage, AIGIBench, WildRF
            (&["progan/car/0_real/1.png", "stargan/1_fake/1.png"], &["real - ", "fake - stargan"]),
            (&["ADM/imagenet_ai/train/ai/1.png", "Midjourney/val/nature/1.png"], &["fake train ADM", "real val "]),
            (&["test/R3GAN/1_fake/1.png", "train/car/0_real/1.png"], &["fake test R3GAN", "real train "]),
            (&["test/reddit/1_fake/1.png", "test/twitter/0_real/2.png"], &["fake test reddit", "real test "]),
        ];
        for (paths, expected) in sets {
            assert_eq!(read(paths, &plain), expected, "{paths:?}");
        }
        assert_eq!(
            read(&["train/fake/nearest/1.jpg", "test/real/2.jpg"], &plain),
            ["fake train nearest", "real test "]
        );
    }

    #[test]
    fn configured_generator_replaces_subject_folders() {
        let paths = ["car/1_fake/1.png", "cat/1_fake/2.png", "cat/0_real/3.png"];
        assert_eq!(read(&paths, &SourceConfig::default()), ["fake - car", "fake - cat", "real - "]);
        let config = SourceConfig { generator: Some("ProGAN".to_owned()), ..SourceConfig::default() };
        assert_eq!(read(&paths, &config), ["fake - ProGAN", "fake - ProGAN", "real - "]);
    }

    #[test]
    fn configured_names_extend_the_built_in_ones() {
        let mut config = SourceConfig::default();
        config.labels.extend([("ADM".to_owned(), Label::Fake), ("sdv1".to_owned(), Label::Fake)]);
        config.splits.insert("train2017".to_owned(), Split::Train);
        // DiffusionForensics, DRCT-2M
        let paths =
            ["images/test/imagenet/adm/1.png", "images/test/imagenet/real/1.png", "images/train/lsun/adm/2.png"];
        assert_eq!(read(&paths, &config), ["fake test adm", "real test ", "fake train adm"]);
        assert_eq!(read(&["sdv1/train2017/1.png", "MSCOCO/train2017/1.png"], &config), ["fake train sdv1", "- train "]);
    }

    #[test]
    fn uses_shared_folders_and_source_name_only_if_no_other_folder_names_a_class() {
        let at = |root: &str, paths: &[&str]| {
            let labels = FolderLabels::new(paths.iter().copied(), Path::new(root), &SourceConfig::default()).unwrap();
            let entries = paths.iter().map(|path| labels.entry(path));
            entries.map(|entry| (entry.label.ok(), entry.generator)).collect::<Vec<_>>()
        };
        let (real, fake) = (Some(Label::Real), Some(Label::Fake));
        assert_eq!(at("photos/0_real", &["1.jpg"]), [(real, String::new())]);
        assert_eq!(at("1_fake", &["sdxl/1.jpg"]), [(fake, "sdxl".to_owned())]);
        assert_eq!(
            at("x", &["fake/sdxl/1.png", "fake/sdxl/2.png"]),
            [(fake, "sdxl".to_owned()), (fake, "sdxl".to_owned())]
        );
        assert_eq!(at("x", &["train/ai/1.png"]), [(fake, String::new())]);
        // If some folders name a class, neither the root nor the shared folders label the others.
        assert_eq!(at("fake", &["real/1.jpg", "cats/2.jpg"]), [(real, String::new()), (None, String::new())]);
        assert_eq!(
            at("x", &["fake/train/real/1.jpg", "fake/train/ai/2.jpg"]),
            [(real, String::new()), (fake, String::new())]
        );
    }

    #[test]
    fn rejects_paths_that_name_both_classes_unless_configured() {
        let paths = ["fake/nature/1.png", "fake/sdxl/2.png", "real/3.png"];
        let mut config = SourceConfig::default();
        assert_eq!(read(&paths, &config), ["- - ", "fake - sdxl", "real - "]);
        let labels = FolderLabels::new(paths.into_iter(), Path::new("root"), &config).unwrap();
        let rejection = labels.entry(paths[0]).label.unwrap_err();
        assert!(rejection.detail.contains("`fake`") && rejection.detail.contains("`nature`"), "{}", rejection.detail);
        config.labels.insert("nature".to_owned(), Label::Fake);
        assert_eq!(read(&paths, &config), ["fake - nature", "fake - sdxl", "real - "]);
    }

    #[test]
    fn error_without_labels_lists_folders() {
        let error =
            FolderLabels::new(["cats/1.jpg", "dogs/a/2.jpg"].into_iter(), Path::new("pets"), &SourceConfig::default());
        let message = error.err().unwrap().to_string();
        for part in ["`pets`", "a, cats, dogs", "ingest.labels.dogs=fake"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn names_shared_folders_of_both_classes() {
        let paths = ["photos/fake/1.jpg", "photos/fake/2.jpg"];
        let labels = |config: &SourceConfig| FolderLabels::new(paths.into_iter(), Path::new("all.zip"), config);
        let message = labels(&SourceConfig::default()).err().unwrap().to_string();
        for part in ["`all.zip`", "`photos` and `fake` name different classes", "--set ingest.labels.fake=real"] {
            assert!(message.contains(part), "{message}");
        }
        let mapped = SourceConfig { labels: [("fake".to_owned(), Label::Fake)].into(), ..SourceConfig::default() };
        assert_eq!(labels(&mapped).unwrap().entry(paths[0]).label, Ok(Label::Fake));
    }

    #[test]
    fn advice_is_a_setting_that_works() {
        let advice = |paths: &[&str]| {
            let error = FolderLabels::new(paths.iter().copied(), Path::new("x"), &SourceConfig::default());
            match error.err() {
                Some(SourceError::NoLabels { advice, .. }) => advice,
                other => panic!("{other:?}"),
            }
        };
        // Splits are not classes.
        let real_and_fake = "--set ingest.labels.cats=real --set ingest.labels.dogs=fake";
        assert!(advice(&["cats/train/1.jpg", "dogs/val2017/2.jpg"]).ends_with(real_and_fake));
        // A dot separates keys in TOML.
        let dotted = advice(&["val/sd v1.4/1.jpg"]);
        assert!(dotted.ends_with(r#"--set 'ingest.labels."sd v1.4"=fake'"#), "{dotted}");
        for paths in [&["1.jpg"][..], &["train/1.jpg", "test/2.jpg"]] {
            assert!(advice(paths).contains("named `real` or `fake`"), "{paths:?}");
        }
    }

    #[test]
    fn names_of_splits_are_not_generators() {
        let paths =
            ["val2017/stable-diffusion-v1-4/1_fake/1.png", "train2017/adm/1_fake/2.png", "val2017/0_real/3.png"];
        assert_eq!(
            read(&paths, &SourceConfig::default()),
            ["fake val stable-diffusion-v1-4", "fake train adm", "real val "]
        );
    }
}
