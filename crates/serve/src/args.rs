//! The arguments of `candling serve`.

use std::path::PathBuf;

use predict::CheckOptions;
use predict::cli::ModelArgs;

use crate::limits::Limits;

/// The arguments of `candling serve`.
#[derive(Clone, Debug, clap::Args)]
pub struct ServeArgs {
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 7878)]
    pub port: u16,
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// The layer whose activations the heat maps show
    #[arg(long, value_name = "LAYER", default_value = CheckOptions::LAYER)]
    pub layer: String,
    /// Certificates in PEM of the signers of Content Credentials that are trusted, or of their authorities
    #[arg(long, value_name = "PEM")]
    pub trust_list: Option<PathBuf>,
    /// The limits on requests.
    #[command(flatten)]
    pub limits: Limits,
}
