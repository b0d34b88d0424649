//! The command line of the stage.

use artifacts::config::Override;
use artifacts::stage::{self, Failure, StageArgs, exit};
use artifacts::{command, names};
use clap::Args;
use exchange::Exchange;

use crate::error::Error;
use crate::orders::{self, Order};
use crate::processes;
use crate::stage::Train;
use crate::throughput::measure_throughput;

/// Train a detector on the shards of ingest. An interrupted training saves its progress, and the same command resumes
/// it
#[derive(Clone, Debug, Args)]
pub struct TrainArgs {
    /// The options of every stage.
    #[command(flatten)]
    pub stage: StageArgs,
    /// Initial weights: `hf:owner/repo[/file][@revision]`, a safetensors file, or none for random weights; short for
    /// --set train.weights=SOURCE
    #[arg(long, value_name = "SOURCE")]
    pub weights: Option<String>,
    /// The device to compute on: auto, cpu or `cuda[:N]`; short for --set train.device=DEVICE
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
    /// Train with N processes of this machine, through the mpirun that is installed; docs/clusters.md explains it
    #[arg(long, value_name = "N")]
    pub processes: Option<usize>,
    /// Instead of training, measure how many images of SIZE x SIZE pixels this machine trains on per second, and print
    /// the rate as JSON
    #[arg(long, value_name = "SIZE", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub rate: Option<u16>,
}

/// Trains the runs that are not up to date, or measures the speed of training.
///
/// # Errors
/// The arguments are not valid, or the stage fails.
pub fn train(args: &TrainArgs) -> Result<(), Failure> {
    let option = |key: &'static str, value: &Option<String>, option: &str| {
        value.clone().map(|value| Override::of_option(names::TRAIN, key, value, option))
    };
    let overrides = [option("weights", &args.weights, "--weights"), option("device", &args.device, "--device")];
    let overrides = overrides.into_iter().flatten().collect();
    if args.processes.is_some() {
        // `cargo xtask` and `candling` take the option away and start the processes.
        let advice = format!("start it as `{}`, or with mpirun", command::line("train --processes N"));
        return Err(Failure::usage(format!("this program does not start other processes; {advice}")));
    }
    let connection = exchange::connect().map_err(Error::from)?;
    let exchange = connection.exchange();
    if !exchange.is_first() {
        return end_together(&**exchange, processes::follow(exchange));
    }
    let mut result = train_or_measure(args, overrides);
    if result.as_ref().err().is_none_or(|failure| failure.code() == exit::INTERRUPTED) {
        result = orders::send(&**exchange, &Order::End).and(result);
    }
    end_together(&**exchange, result)
}

/// Ends all processes of a training if this one failed. Otherwise each of them ends by itself.
fn end_together(exchange: &dyn Exchange, result: Result<(), Failure>) -> Result<(), Failure> {
    match result {
        Err(failure) if exchange.world() > 1 && failure.code() != exit::INTERRUPTED => {
            let code = failure.code();
            let _ = stage::finish(names::TRAIN, Err(failure));
            exchange.abort(code)
        }
        result => result,
    }
}

fn train_or_measure(args: &TrainArgs, overrides: Vec<Override>) -> Result<(), Failure> {
    let Some(size) = args.rate else {
        return stage::execute::<Train>(&args.stage, overrides).map(drop);
    };
    let (_, config) = stage::resolve::<Train>(&args.stage, overrides)?;
    stage::print_json(&measure_throughput(&config, size.into())?)
}
