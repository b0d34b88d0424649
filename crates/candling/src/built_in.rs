//! The pipelines, the protocols of benchmarks and the published results, which work without a checkout.

/// Names and contents of TOML files.
type Files = &'static [(&'static str, &'static str)];

/// The files of `pipelines/`.
pub(crate) const PIPELINES: Files = &[
    ("aligned", include_str!("../../../pipelines/aligned.toml")),
    ("branches", include_str!("../../../pipelines/branches.toml")),
    ("demo", include_str!("../../../pipelines/demo.toml")),
    ("full", include_str!("../../../pipelines/full.toml")),
    ("probe", include_str!("../../../pipelines/probe.toml")),
    ("smoke", include_str!("../../../pipelines/smoke.toml")),
];

/// The files of `benchmarks/`.
pub(crate) const BENCHMARKS: Files = &[
    ("aigibench", include_str!("../../../benchmarks/aigibench.toml")),
    ("chameleon", include_str!("../../../benchmarks/chameleon.toml")),
    ("community-forensics", include_str!("../../../benchmarks/community-forensics.toml")),
    ("deepdetect-2025", include_str!("../../../benchmarks/deepdetect-2025.toml")),
    ("diffusion-forensics", include_str!("../../../benchmarks/diffusion-forensics.toml")),
    ("drct-2m", include_str!("../../../benchmarks/drct-2m.toml")),
    ("forensynths", include_str!("../../../benchmarks/forensynths.toml")),
    ("genimage", include_str!("../../../benchmarks/genimage.toml")),
    ("openfake", include_str!("../../../benchmarks/openfake.toml")),
    ("synthbuster", include_str!("../../../benchmarks/synthbuster.toml")),
    ("synthwildx", include_str!("../../../benchmarks/synthwildx.toml")),
    ("universal-fake-detect", include_str!("../../../benchmarks/universal-fake-detect.toml")),
    ("wildrf", include_str!("../../../benchmarks/wildrf.toml")),
];

/// The files of `benchmarks/published/`.
pub(crate) const PUBLISHED: Files = &[
    ("aigibench-logs", include_str!("../../../benchmarks/published/aigibench-logs.toml")),
    ("aigibench-readme", include_str!("../../../benchmarks/published/aigibench-readme.toml")),
    ("awesome-aigc-ap", include_str!("../../../benchmarks/published/awesome-aigc-ap.toml")),
    ("awesome-aigc-readme", include_str!("../../../benchmarks/published/awesome-aigc-readme.toml")),
    ("dda-readme", include_str!("../../../benchmarks/published/dda-readme.toml")),
    ("dffreq-log", include_str!("../../../benchmarks/published/dffreq-log.toml")),
    ("mirror-readme", include_str!("../../../benchmarks/published/mirror-readme.toml")),
    ("npr-readme", include_str!("../../../benchmarks/published/npr-readme.toml")),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use orchestrator::ProvidedFiles;

    use super::*;

    #[test]
    fn all_files_of_the_checkout_are_built_in() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for (folder, files) in
            [("pipelines", PIPELINES), ("benchmarks", BENCHMARKS), ("benchmarks/published", PUBLISHED)]
        {
            let on_disk = ProvidedFiles::Folder(root.join(folder)).names();
            assert_eq!(ProvidedFiles::BuiltIn(files).names(), on_disk, "add the file to built_in.rs");
        }
    }
}
