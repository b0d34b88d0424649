//! The program `candling-benchmark`, which lists the images of a benchmark of the field.

use std::path::PathBuf;
use std::process::ExitCode;

use artifacts::progress::line;
use artifacts::schema::Omitted;
use artifacts::stage::{self, Failure};
use clap::Parser;
use judge::benchmark::{self, Listing, Protocol};

/// List the images of a benchmark of the field, and say what a copy of it lacks
#[derive(Parser)]
#[command(name = "candling-benchmark", version, after_help = EXAMPLES)]
struct Args {
    /// The benchmark: a file in benchmarks/ without its extension, such as genimage, or the path of a TOML file
    #[arg(value_name = "NAME")]
    protocol: PathBuf,
    /// The folder with the images
    #[arg(long, value_name = "FOLDER")]
    root: PathBuf,
    /// The folder for the lists images.csv and test.csv; `cargo xtask benchmark` calls it --run-dir, with
    /// runs/benchmark-NAME as default
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask benchmark genimage --root /data/GenImage
      says how many images there are of each generator, and what is missing or empty

  cargo xtask benchmark genimage --root /data/GenImage --predictions univfd.csv
      also evaluates the predictions of any detector, as `cargo xtask judge` does, with its options

  cargo xtask benchmark genimage --root /data/GenImage --model runs/demo
      also evaluates a model of Candling, as `cargo xtask evaluate --data` does, with its options

docs/judge.md lists the benchmarks, and explains how to add one.";

fn main() -> ExitCode {
    let args = Args::parse();
    stage::finish("benchmark", run(&args))
}

fn run(args: &Args) -> Result<(), Failure> {
    let protocol = Protocol::read(&args.protocol)?;
    let listing = benchmark::list(&protocol, &args.root)?;
    print_listing(&protocol, &listing);
    std::fs::create_dir_all(&args.out).map_err(artifacts::Error::io("create", &args.out))?;
    for (name, test_only) in [("images.csv", false), ("test.csv", true)] {
        benchmark::write(&listing, &args.root, &args.out.join(name), test_only)?;
    }
    line(&format!("benchmark: wrote {} and test.csv", args.out.join("images.csv").display()));
    Ok(())
}

fn print_listing(protocol: &Protocol, listing: &Listing) {
    line(&format!("benchmark: {} ({})", protocol.name, protocol.paper));
    line(&format!("benchmark: the paper reports the metric {}", protocol.metric));
    for (generator, counts) in &listing.counts {
        line(&format!("benchmark:   {generator}: {} fakes, {} real images", counts.fake, counts.real));
    }
    for lacking in &listing.lacking {
        line(&format!("benchmark: warning: {lacking}"));
    }
    print_omitted(&listing.empty, "files are empty and are left out");
    print_omitted(&listing.unknown, "images are in folders that the protocol does not know");
    for caveat in &protocol.caveats {
        line(&format!("benchmark: note: {caveat}"));
    }
}

fn print_omitted(omitted: &Omitted, what: &str) {
    if omitted.count > 0 {
        line(&format!("benchmark: warning: {} {what}, such as {}", omitted.count, omitted.first.join(", ")));
    }
}
