//! Opens a file of weights with the configuration and preprocessing beside it.

use std::path::Path;

use crate::changes::Changes;
use crate::config::{ConfigFile, Family, TowerConfig};
use crate::error::{Error, Result};
use crate::inference_of_config::infer;
use crate::names::{Names, PROJECTION};
use crate::preprocessing::Preprocessing;
use crate::weights_file::WeightsFile;

/// The most problems and names that an error lists.
const MAX_LISTED: usize = 12;

/// The weight and the bias of a module: `[outputs, inputs]` and `[outputs]` of a linear layer, `[width]` and `[width]` of a
/// layer norm.
pub type Module = (Vec<f32>, Vec<f32>);

/// A checked file of weights, ready to be read.
pub(crate) struct Source {
    pub(crate) file: WeightsFile,
    pub(crate) names: Names,
    pub(crate) config: TowerConfig,
    pub(crate) preprocessing: Preprocessing,
    /// What was assumed because there is no `config.json`.
    pub(crate) assumptions: Vec<String>,
    /// Changes of the tensors by a fine-tuning.
    pub(crate) changes: Changes,
}

impl Source {
    /// Opens a safetensors file. All tensors of the tower exist and have the right shapes afterwards.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut file = WeightsFile::open(path)?;
        let mut names = Names::find(&file);
        if names.is_none()
            && let Some(prefix) = Names::outer_prefix(&file)
        {
            file.leave_out_prefix(prefix);
            names = Names::find(&file);
        }
        let Some(names) = names else {
            let mut found = file.names();
            found.truncate(MAX_LISTED);
            let found = if found.is_empty() { "no tensors".to_owned() } else { found.join(", ") };
            return Err(Error::NoTower { path: path.to_owned(), found });
        };
        let family = names.family();
        let attention_pool = family == Family::Siglip && file.shape(&names.head("probe")).is_some();
        let (mut config, assumptions, origin) = match ConfigFile::beside(path)? {
            Some((config_path, config)) => {
                let origin = config_path.display().to_string();
                (config.tower(&config_path, family, attention_pool)?, Vec::new(), origin)
            }
            None => {
                let (config, assumptions) = infer(&file, &names).map_err(|problem| Error::Config {
                    path: path.to_owned(),
                    problem: format!("{problem}; put the model's config.json beside it"),
                })?;
                if let Some(problem) = config.problem() {
                    return Err(Error::Config { path: path.to_owned(), problem });
                }
                (config, assumptions, "the shapes of its first tensors".to_owned())
            }
        };
        config.attention_pool = attention_pool;
        if family == Family::Clip {
            config.projection = file.shape(PROJECTION).and_then(|shape| shape.first().copied());
        }
        let preprocessing = Preprocessing::beside(path, family, config.side)?;
        if preprocessing.size < config.patch {
            return Err(Error::Config {
                path: path.with_file_name("preprocessor_config.json"),
                problem: format!(
                    "inputs of {} pixels are smaller than a patch of {} pixels; use the file that belongs to the weights",
                    preprocessing.size, config.patch
                ),
            });
        }
        let mut problems: Vec<String> =
            names.tensors(&config).iter().filter_map(|(name, shape)| file.problem(name, shape)).collect();
        if !problems.is_empty() {
            let more = problems.len().saturating_sub(MAX_LISTED);
            problems.truncate(MAX_LISTED);
            if more > 0 {
                problems.push(format!("and {more} more"));
            }
            return Err(Error::Tensors { path: path.to_owned(), config: origin, problems: problems.join("; ") });
        }
        Ok(Self { file, names, config, preprocessing, assumptions, changes: Changes::default() })
    }

    /// Reads a tensor.
    pub(crate) fn read(&mut self, name: &str) -> Result<Vec<f32>> {
        let mut values = self.file.read(name)?;
        self.changes.apply(name, &mut values);
        Ok(values)
    }

    /// Reads the weight and the bias of a module.
    pub(crate) fn module(&mut self, name: &str) -> Result<Module> {
        Ok((self.read(&format!("{name}.weight"))?, self.read(&format!("{name}.bias"))?))
    }
}

/// Returns the preprocessing of the inputs of a tower, without reading its weights.
///
/// # Errors
/// As [`Tower::open`](crate::Tower::open).
pub fn preprocessing_of(path: &Path) -> Result<Preprocessing> {
    Ok(Source::open(path)?.preprocessing)
}
