//! Writes a simulated set to a folder of JPEG files, for other programs.
//!
//! `cargo run --release -p ingest --example simulated-folder -- train=1000,test=0,size=512 FOLDER`

use std::path::PathBuf;

use rayon::prelude::*;
use sources::simulated::SimulatedSet;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(set), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("give the parameters of a set, such as train=1000,test=0,size=512, and a folder".into());
    };
    let (set, folder): (SimulatedSet, PathBuf) = (set.parse()?, folder.into());
    (0..set.len()).into_par_iter().try_for_each(|index| {
        let sample = set.image(index).map_err(|error| error.to_string())?;
        let path = folder.join(sample.path);
        std::fs::create_dir_all(path.parent().unwrap_or(&folder)).map_err(|error| error.to_string())?;
        std::fs::write(path, sample.jpeg).map_err(|error| error.to_string())
    })?;
    Ok(())
}
