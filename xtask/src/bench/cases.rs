//! Creates the cases to measure, with the command lines of Candling and its peers.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use artifacts::RunDir;
use artifacts::stage::Failure;
use orchestrator::process;

use super::args::BenchArgs;
use super::case::Case;
use super::filter::Filter;
use super::jpeg_set::{JpegSet, jpeg_sets};
use super::measured_program::MeasuredProgram;
use super::options::{Device, Part, Precision};
use super::programs::{example, folder, script};
use crate::programs;

/// The number of windows that the native loader cuts from each image, and their side in pixels.
const NATIVE_WINDOWS: [u32; 2] = [4, 64];

/// The name of the result of [`Part::Predict`].
const PREDICT: &str = "predict.cold";

/// Checks that every value of `--only` selects a result.
///
/// # Errors
/// A value selects nothing. The error lists the available results.
pub(crate) fn check_filters(args: &BenchArgs) -> Result<(), Failure> {
    let parts: Vec<Part> = args.parts_of_device().collect();
    let (mut names, mut cases) = (Vec::new(), Vec::new());
    for &part in &parts {
        match part {
            // The names of their results are known only after the measurement.
            Part::Peak | Part::Loader | Part::Ingest => names.push(part.prefix(args.device)),
            Part::Predict => names.push(PREDICT.to_owned()),
            Part::Train | Part::Infer => cases.extend(steps(args, part)?),
            Part::Branches => cases.extend(branches(args)?),
            Part::Vit => cases.extend(vision_transformers(args)?),
            Part::Norm => cases.extend(norms(args)?),
            Part::Layers => cases.extend(layers(args)?),
        }
    }
    for filter in &args.only {
        let may_select = |part: &Part| match part {
            Part::Peak | Part::Loader | Part::Ingest => filter.may_select_from(*part, args.device),
            Part::Predict => filter.may_select_from_case(*part, PREDICT),
            _ => cases.iter().any(|case| case.part == *part && filter.may_select_from_case(*part, &case.name)),
        };
        if parts.iter().any(may_select) {
            continue;
        }
        let device = args.device.name();
        return Err(Failure::usage(match filter {
            Filter::Part(_) => {
                format!("--only names the part `{filter}`, which cannot be measured with --device {device}")
            }
            Filter::Prefix(name) => {
                names.extend(cases.into_iter().map(|case| case.name));
                format!(
                    "--only names `{name}`, but the results with these options and --device {device} are {}",
                    names.join(", ")
                )
            }
        }));
    }
    Ok(())
}

/// Returns the cases that `args` select.
pub(crate) fn cases(args: &BenchArgs) -> Result<Vec<Case>, Failure> {
    let parts = args.parts();
    let images = match parts.iter().any(|part| [Part::Ingest, Part::Loader, Part::Predict].contains(part)) {
        true => jpeg_sets(args.images.as_deref())?,
        false => Vec::new(),
    };
    let mut cases = Vec::new();
    for part in parts {
        match part {
            Part::Peak => cases.push(peak(args)?),
            Part::Train | Part::Infer => cases.extend(steps(args, part)?),
            Part::Branches => cases.extend(branches(args)?),
            Part::Vit => cases.extend(vision_transformers(args)?),
            Part::Norm => cases.extend(norms(args)?),
            Part::Layers => cases.extend(layers(args)?),
            Part::Loader => cases.extend([loader(args, &images)?, native_loader(args, &images)?]),
            Part::Ingest => {
                for images in &images {
                    cases.extend(ingest(args, images)?);
                }
            }
            Part::Predict => cases.extend(images.last().map(|images| predict(args, images)).transpose()?),
        }
    }
    cases.retain(|case| {
        args.only.is_empty() || args.only.iter().any(|filter| filter.may_select_from_case(case.part, &case.name))
    });
    Ok(cases)
}

/// Returns a peer: its script, run with the interpreter of `--peer-python`.
fn peer(
    args: &BenchArgs,
    name: &str,
    file: &str,
    rest: impl IntoIterator<Item = impl Into<OsString>>,
) -> MeasuredProgram {
    match &args.peer_python {
        None => MeasuredProgram::absent(name, "no --peer-python was given".to_owned()),
        Some(python) => {
            let words = [python.clone().into_os_string(), script(file).into_os_string()];
            MeasuredProgram::new(name, words.into_iter().chain(rest.into_iter().map(Into::into)))
        }
    }
}

/// Returns one of Candling's benchmark programs.
fn ours(
    name: &str,
    program: &str,
    rest: impl IntoIterator<Item = impl Into<OsString>>,
) -> Result<MeasuredProgram, Failure> {
    let words = std::iter::once(example(program)?.into_os_string());
    Ok(MeasuredProgram::new(name, words.chain(rest.into_iter().map(Into::into))))
}

fn case_without_peers(part: Part, name: String, ours: MeasuredProgram, limit: Option<&'static str>) -> Case {
    Case { part, name, ours, peers: Vec::new(), limit }
}

/// The machine's peak arithmetic and memory bandwidth.
fn peak(args: &BenchArgs) -> Result<Case, Failure> {
    let seconds = (args.seconds / 4.0).to_string();
    let program = match args.device {
        Device::Cpu => ours("peak", "peak", [seconds])?,
        // Candling has no benchmark of matrix products on CUDA.
        Device::Cuda => peer(args, "PyTorch's matrix products", "torch_card.py", ["--seconds", &seconds]),
    };
    Ok(case_without_peers(Part::Peak, format!("{}.peak", args.device.name()), program, None))
}

/// Training steps or inference, for each precision and batch size.
fn steps(args: &BenchArgs, part: Part) -> Result<Vec<Case>, Failure> {
    let what = if part == Part::Train { "train" } else { "infer" };
    let mut cases = Vec::new();
    for precision in args.precisions() {
        for batch in args.batches() {
            let (device, numbers) = (args.device.name(), [batch, args.size].map(|number| number.to_string()));
            let seconds = args.seconds.to_string();
            let common = [what, "--batch", &numbers[0], "--size", &numbers[1], "--seconds", &seconds];
            let command = [&common[..], &["--device", device, "--precision", precision.name()]].concat();
            let mut torch = vec!["--device", device];
            let autocast = if precision == Precision::Bf16 { "bf16 autocast" } else { "f32" };
            if precision == Precision::Bf16 {
                torch.push("--bf16");
            }
            let mut peers = Vec::new();
            let mut add = |name: &str, file: &str, more: &[&str]| {
                peers.push(peer(args, name, file, common.iter().chain(more)));
            };
            add(&format!("PyTorch channels-last {autocast}"), "torch_resnet50.py", &torch);
            match (args.device, part, precision) {
                (Device::Cuda, _, _) => {
                    torch.push("--compile");
                    add(&format!("PyTorch compiled {autocast}"), "torch_resnet50.py", &torch);
                }
                (Device::Cpu, Part::Infer, Precision::F32) => add("onnxruntime f32", "onnx_resnet50.py", &[]),
                _ => {}
            }
            let limit = Some(if precision == Precision::Bf16 { "bf16" } else { "f32" });
            let name = format!("{device}.{what}.{}.b{batch}", precision.name());
            cases.push(Case { part, name, ours: ours("Candling", "bench-step", command)?, peers, limit });
        }
    }
    Ok(cases)
}

/// Training steps of a detector with two trained branches, for each precision. The default is one batch of 16.
fn branches(args: &BenchArgs) -> Result<Vec<Case>, Failure> {
    in_each_precision(args, |precision, batch, common| {
        let ours = ours("Candling", "branches-step", common.iter().chain(&["--precision", precision.name()]))?;
        let name = format!("cpu.branches.train.{}.b{batch}", precision.name());
        Ok(Pair { part: Part::Branches, name, ours, script: "torch_branches.py" })
    })
}

/// Features of a vision transformer, for each precision. The default is one batch of 16.
fn vision_transformers(args: &BenchArgs) -> Result<Vec<Case>, Failure> {
    let folder = folder()?.to_string_lossy().into_owned();
    in_each_precision(args, |precision, batch, common| {
        let more = ["--precision", precision.name(), "--folder", &folder];
        let ours = ours("Candling", "vit-features", common.iter().chain(&more))?;
        let name = format!("cpu.vit.features.{}.b{batch}", precision.name());
        Ok(Pair { part: Part::Vit, name, ours, script: "torch_vit.py" })
    })
}

/// A program of Candling, and the script of PyTorch that does the same.
struct Pair {
    part: Part,
    name: String,
    ours: MeasuredProgram,
    script: &'static str,
}

/// Returns a case for each precision and batch size. `pair` returns the programs from the precision, the batch size and
/// the arguments that both have.
fn in_each_precision(
    args: &BenchArgs,
    pair: impl Fn(Precision, u32, &[&str]) -> Result<Pair, Failure>,
) -> Result<Vec<Case>, Failure> {
    let batches = if args.batch.is_empty() { vec![16] } else { args.batches() };
    let mut cases = Vec::new();
    for precision in args.precisions() {
        for &batch in &batches {
            let (numbers, seconds) = ([batch, args.size].map(|number| number.to_string()), args.seconds.to_string());
            let common = ["--batch", &numbers[0], "--size", &numbers[1], "--seconds", &seconds];
            let Pair { part, name, ours, script } = pair(precision, batch, &common)?;
            let (torch, bf16): (_, &[&str]) = match precision {
                Precision::Bf16 => ("PyTorch bf16 autocast", &["--bf16"]),
                Precision::F32 => ("PyTorch f32", &[]),
            };
            let peers = vec![peer(args, torch, script, common.iter().chain(bf16))];
            cases.push(Case { part, name, ours, peers, limit: Some(precision.name()) });
        }
    }
    Ok(cases)
}

/// The batch norms of a training step, beside PyTorch's own in the same precision and cuDNN's, which PyTorch uses for
/// float16.
fn norms(args: &BenchArgs) -> Result<Vec<Case>, Failure> {
    let mut cases = Vec::new();
    for precision in args.precisions() {
        for batch in args.batches() {
            let (numbers, seconds) = ([batch, args.size].map(|number| number.to_string()), args.seconds.to_string());
            let common = ["--batch", &numbers[0], "--size", &numbers[1], "--seconds", &seconds];
            let torch =
                |name: &str, dtype: &str| peer(args, name, "torch_norms.py", common.iter().chain(&["--dtype", dtype]));
            let peers = match precision {
                Precision::Bf16 => vec![torch("PyTorch bf16", "bf16"), torch("cuDNN float16, by PyTorch", "float16")],
                Precision::F32 => vec![torch("PyTorch f32", "f32")],
            };
            let ours = ours("Candling", "norms", common.iter().chain(&["--precision", precision.name()]))?;
            let name = format!("{}.norm.{}.b{batch}", args.device.name(), precision.name());
            cases.push(Case { part: Part::Norm, name, ours, peers, limit: None });
        }
    }
    Ok(cases)
}

/// Single convolutions. The default batch sizes include 8 here.
fn layers(args: &BenchArgs) -> Result<Vec<Case>, Failure> {
    let batches = if args.batch.is_empty() { vec![8, 16, 32] } else { args.batches() };
    let case = |batch: u32| {
        let program = ours("layers", "layers", ["--batch", &batch.to_string(), "--json"])?;
        Ok(case_without_peers(Part::Layers, format!("cpu.layer.b{batch}"), program, Some("f32")))
    };
    batches.into_iter().map(case).collect()
}

/// The loader: reads batches from shards. Runs ingest to make the shards from the first set of images.
fn loader(args: &BenchArgs, images: &[JpegSet]) -> Result<Case, Failure> {
    let run = folder()?.join("loader");
    if let Some(images) = images.first() {
        process::run(programs::program("ingest")?.args(ingest_arguments(args, images, &run)))?;
    }
    let shards = RunDir::new(run).ingest();
    let batch = args.batches().last().copied().unwrap_or(32).to_string();
    let seconds = (args.seconds / 4.0).to_string();
    let program = ours("loader", "loader-rate", [shards.into_os_string(), batch.into(), seconds.into()])?;
    Ok(case_without_peers(Part::Loader, "cpu.loader".to_owned(), program, None))
}

/// Decoding at native resolution and cutting windows. Runs ingest to make shards with the files of the last set of
/// images, which has the largest ones.
fn native_loader(args: &BenchArgs, images: &[JpegSet]) -> Result<Case, Failure> {
    let run = folder()?.join("loader-native");
    if let Some(images) = images.last() {
        let mut ingest = programs::program("ingest")?;
        process::run(ingest.args(ingest_arguments(args, images, &run)).args(["--set", "ingest.keep_files=true"]))?;
    }
    let shards = RunDir::new(run).ingest().into_os_string();
    let [windows, side] = NATIVE_WINDOWS.map(|number| number.to_string());
    let seconds = (args.seconds / 4.0).to_string();
    let program = ours("native loader", "native-rate", [shards, windows.into(), side.into(), seconds.into()])?;
    Ok(case_without_peers(Part::Loader, "cpu.loader.native".to_owned(), program, None))
}

/// The ingest stage, and decoding alone, each with the peers.
fn ingest(args: &BenchArgs, images: &JpegSet) -> Result<[Case; 2], Failure> {
    let (size, seconds) = (args.size.to_string(), (args.seconds / 2.0).to_string());
    let list = images.list.to_string_lossy().into_owned();
    let peers = || {
        let one = |name: &str, decoder: &str| {
            let rest = [decoder, "--list", &list, "--size", &size, "--seconds", &seconds];
            peer(args, name, "ingest_files.py", rest)
        };
        vec![one("Pillow + torchvision", "pillow"), one("libjpeg-turbo + torchvision", "simplejpeg")]
    };
    let run = folder()?.join(format!("ingest-{}", images.name));
    let program = programs::program("ingest")?.get_program().to_owned();
    let stage = MeasuredProgram::timed(
        "Candling",
        std::iter::once(program).chain(ingest_arguments(args, images, &run)),
        images.count,
    );
    let decode = ours("Candling", "decode-rate", [&list, &size, &seconds])?;
    let case = |kind: &str, ours: MeasuredProgram| {
        let name = format!("ingest.{kind}.{}", images.name);
        Case { part: Part::Ingest, name, ours, peers: peers(), limit: None }
    };
    Ok([case("jpeg", stage), case("decode", decode)])
}

/// A verdict on the first picture of `images` with a ResNet-50, by a program that is started for it.
fn predict(args: &BenchArgs, images: &JpegSet) -> Result<Case, Failure> {
    let model = folder()?.join("resnet50");
    process::run(Command::new(example("untrained-model")?).arg(&model).args(["--size", &args.size.to_string()]))?;
    let list = fs::read_to_string(&images.list).map_err(Failure::failed)?;
    let picture = list.lines().next().unwrap_or_default().to_owned();
    let rest = ["--model".into(), model.into_os_string(), picture.into()];
    let program = programs::program("predict")?.get_program().to_owned();
    let ours = MeasuredProgram::timed("Candling", std::iter::once(program).chain(rest.clone()), 1);
    let peers = vec![peer(args, "PyTorch + torchvision", "torch_predict.py", rest).timed_with(1)];
    Ok(Case { part: Part::Predict, name: PREDICT.to_owned(), ours, peers, limit: None })
}

/// Returns the arguments with which `candling-ingest` makes shards of `images`, even if they exist.
fn ingest_arguments(args: &BenchArgs, images: &JpegSet, run: &Path) -> Vec<OsString> {
    let words = ["--run-dir".into(), run.as_os_str().to_owned(), "--data".into(), images.csv.as_os_str().to_owned()];
    let size = format!("ingest.size={}", args.size);
    words.into_iter().chain(["--set".into(), size.into(), "--force".into()]).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        bench: BenchArgs,
    }

    fn cases_of(words: &[&str]) -> Vec<Case> {
        let line = Line::try_parse_from([&["bench"], words].concat()).unwrap();
        cases(&line.bench).unwrap()
    }

    fn names(cases: &[Case]) -> Vec<&str> {
        cases.iter().map(|case| case.name.as_str()).collect()
    }

    #[test]
    fn cpu_defaults_are_both_precisions_and_batches() {
        let cases = cases_of(&["--only", "train,infer"]);
        let expected = ["train", "infer"].map(|what| {
            [("f32", 16), ("f32", 32), ("bf16", 16), ("bf16", 32)].map(|(p, b)| format!("cpu.{what}.{p}.b{b}"))
        });
        assert_eq!(names(&cases), expected.concat());
        let peers = |i: usize| cases[i].peers.iter().map(|peer| peer.name.as_str()).collect::<Vec<_>>();
        assert_eq!(peers(0), ["PyTorch channels-last f32"]);
        assert_eq!(peers(2), ["PyTorch channels-last bf16 autocast"]);
        assert_eq!(peers(4), ["PyTorch channels-last f32", "onnxruntime f32"]);
        assert!(cases[0].peers[0].failure().unwrap().contains("--peer-python"));
    }

    #[test]
    fn cuda_peers_are_eager_and_compiled_pytorch() {
        let cases = cases_of(&["--device", "cuda", "--peer-python", "py"]);
        let batches = [64, 128, 256];
        let steps = ["train", "infer"].map(|what| batches.map(|batch| format!("cuda.{what}.bf16.b{batch}")));
        let norms = batches.map(|batch| format!("cuda.norm.bf16.b{batch}"));
        assert_eq!(names(&cases), [vec!["cuda.peak".to_owned()], steps.concat(), norms.to_vec()].concat());
        let cudnn = &cases[8].peers[1].words()[2..];
        assert_eq!(
            (&cudnn[..2], &cudnn[6..]),
            (&["--batch", "128"].map(str::to_owned)[..], &["--dtype", "float16"].map(str::to_owned)[..])
        );
        let ours = cases[3].ours.words().join(" ");
        assert!(ours.contains("bench-step") && ours.ends_with("--device cuda --precision bf16"), "{ours}");
        let [eager, compiled] = &cases[3].peers[..] else { panic!("{}", cases[3].peers.len()) };
        let eager = eager.words();
        assert_eq!((eager[0].as_str(), &eager[2..5]), ("py", &["train", "--batch", "256"].map(str::to_owned)[..]));
        assert_eq!(eager[9..], ["--device", "cuda", "--bf16"]);
        assert_eq!(compiled.words()[9..], ["--device", "cuda", "--bf16", "--compile"]);
        let scripts = cases.iter().flat_map(|case| case.peers.iter().chain([&case.ours])).map(|side| side.words());
        for script in scripts.filter(|words| words[0] == "py").map(|words| words[1].clone()) {
            assert!(Path::new(&script).is_file(), "{script}");
        }
    }

    #[test]
    fn vision_transformers_are_measured_in_both_precisions() {
        let cases = cases_of(&["--only", "vit", "--peer-python", "py"]);
        assert_eq!(names(&cases), ["cpu.vit.features.f32.b16", "cpu.vit.features.bf16.b16"]);
        let ours = cases[1].ours.words().join(" ");
        assert!(
            ours.contains("vit-features --batch 16 --size 224") && ours.contains("--precision bf16 --folder"),
            "{ours}"
        );
        let peer = cases[1].peers[0].words();
        assert!(Path::new(&peer[1]).is_file() && peer.last().is_some_and(|word| word == "--bf16"), "{peer:?}");
    }

    #[test]
    fn trained_branches_are_measured_in_both_precisions() {
        let cases = cases_of(&["--only", "branches", "--peer-python", "py"]);
        assert_eq!(names(&cases), ["cpu.branches.train.f32.b16", "cpu.branches.train.bf16.b16"]);
        assert!(cases[0].ours.words().join(" ").ends_with("--precision f32"));
        assert!(Path::new(&cases[0].peers[0].words()[1]).is_file());
    }

    #[test]
    fn filter_selects_results_by_name_or_prefix() {
        assert_eq!(names(&cases_of(&["--only", "cpu.train.f32.b16"])), ["cpu.train.f32.b16"]);
        // Memory is measured with speed.
        assert_eq!(names(&cases_of(&["--only", "cpu.train.memory.b32"])), ["cpu.train.f32.b32"]);
        assert_eq!(names(&cases_of(&["--only", "cpu.layer.b8.conv1.forward"])), ["cpu.layer.b8"]);
        let both = cases_of(&["--only", "cpu.infer.bf16,train", "--batch", "4"]);
        assert_eq!(names(&both), ["cpu.train.f32.b4", "cpu.train.bf16.b4", "cpu.infer.bf16.b4"]);
    }

    #[test]
    fn rejects_filter_without_results() {
        let checked =
            |words: &[&str]| check_filters(&Line::try_parse_from([&["bench"], words].concat()).unwrap().bench);
        for name in ["train", "ingest.jpeg.512", "cpu.train.f32.b16", "cpu.infer.memory.bf16.b32", "cpu.peak"] {
            assert!(checked(&["--only", name]).is_ok(), "{name}");
        }
        for name in ["trian", "cpu.train.f32.b1", "cuda.train.bf16.b64", "train,cpu.train.f32.b8"] {
            let error = checked(&["--only", name]).unwrap_err();
            assert!(error.to_string().contains("cpu.train.f32.b16, cpu.train.f32.b32"), "{name}: {error}");
        }
        assert!(checked(&["--only", "train,cpu.train.f32.b8", "--batch", "8"]).is_ok());
        assert!(checked(&["--device", "cuda", "--only", "ingest"]).is_err());
    }

    #[test]
    fn cpu_parts_are_not_measured_on_cuda() {
        let line = Line::try_parse_from(["bench", "--device", "cuda", "--only", "ingest,layers"]).unwrap();
        assert!(line.bench.parts().is_empty());
    }
}
