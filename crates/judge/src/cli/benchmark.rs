//! Lists the images of a benchmark of the field.

use std::path::PathBuf;

use artifacts::atomic;
use artifacts::progress::line;
use artifacts::schema::{BenchmarkCopy, Omitted};
use artifacts::stage::Failure;
use clap::Args;

use crate::benchmark::{self as listing, Listing, Protocol, read_published};

/// List the images of a benchmark of the field, and say what a copy of it lacks
#[derive(Clone, Debug, Args)]
pub struct BenchmarkArgs {
    /// The benchmark: a file in benchmarks/ without its extension, such as genimage, or the path of a TOML file
    #[arg(value_name = "NAME")]
    pub protocol: PathBuf,
    /// The folder with the images
    #[arg(long, value_name = "FOLDER")]
    pub root: PathBuf,
    /// The folder for the lists images.csv and test.csv, and for benchmark.json
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The folder with the files of published results
    #[arg(long, value_name = "FOLDER")]
    pub published: PathBuf,
}

/// Writes the lists of the images, prints what the copy lacks, and writes that to `benchmark.json`, with the published
/// results.
///
/// # Errors
/// The protocol, the published results or the folder cannot be read, or a file cannot be written.
pub fn benchmark(args: &BenchmarkArgs) -> Result<(), Failure> {
    let protocol = Protocol::read(&args.protocol)?;
    if !args.root.exists() {
        return Err(artifacts::Error::Missing {
            artifact: format!("copy of {}", protocol.name),
            path: args.root.clone(),
            advice: "check --root".to_owned(),
        }
        .into());
    }
    let listed = listing::list(&protocol, &args.root)?;
    print_listing(&protocol, &listed);
    let name = args.protocol.file_stem().unwrap_or_default().to_string_lossy();
    let published = read_published(&args.published, &name)?;
    std::fs::create_dir_all(&args.out).map_err(artifacts::Error::io("create", &args.out))?;
    for (name, test_only) in [("images.csv", false), ("test.csv", true)] {
        listing::write(&listed, &args.root, &args.out.join(name), test_only)?;
    }
    let copy = BenchmarkCopy {
        schema_version: BenchmarkCopy::SCHEMA_VERSION,
        name: protocol.name,
        paper: protocol.paper,
        metric: protocol.metric,
        caveats: protocol.caveats,
        lacking: listed.lacking,
        published,
    };
    atomic::write_json(&args.out.join(BenchmarkCopy::FILE), &copy)?;
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
    print_omitted(&listing.unknown, "images are of folders or generators that the protocol does not know");
    for caveat in &protocol.caveats {
        line(&format!("benchmark: note: {caveat}"));
    }
}

fn print_omitted(omitted: &Omitted, what: &str) {
    if omitted.count > 0 {
        line(&format!("benchmark: warning: {} {what}, such as {}", omitted.count, omitted.first.join(", ")));
    }
}
