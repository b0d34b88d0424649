//! Infers a tower's configuration from the names and shapes of its tensors, for files without `config.json`.

use crate::config::{Activation, Family, TowerConfig};
use crate::names::Names;
use crate::weights_file::WeightsFile;

/// Returns the configuration and what had to be assumed, or why it does not follow from the tensors.
///
/// Tensors show neither the number of heads nor the activation function. Published models of DINOv2 and SigLIP with one
/// width agree in both; published models of CLIP do not.
pub(crate) fn infer(file: &WeightsFile, names: &Names) -> Result<(TowerConfig, Vec<String>), String> {
    let family = names.family();
    let missing = |name: &str| format!("{name} is missing or has an unusual shape");
    let patches = names.patches();
    let &[width, 3, patch, _] = file.shape(&patches).unwrap_or(&[]) else { return Err(missing(&patches)) };
    let depth = (0..).take_while(|&block| file.shape(&format!("{}.weight", names.block(block).fc1)).is_some()).count();
    let fc1 = format!("{}.weight", names.block(0).fc1);
    let &[mlp_width, _] = file.shape(&fc1).unwrap_or(&[]) else { return Err(missing(&fc1)) };
    let positions = names.positions();
    let count = match *file.shape(&positions).unwrap_or(&[]) {
        [count, _] | [1, count, _] => count.saturating_sub(usize::from(family != Family::Siglip)),
        _ => return Err(missing(&positions)),
    };
    let grid = count.isqrt();
    if grid * grid != count {
        return Err(format!("{positions} has {count} patches, which do not form a square"));
    }
    let registers = match *file.shape(&names.registers()).unwrap_or(&[]) {
        [1, registers, _] => registers,
        _ => 0,
    };
    let heads = match (family, width) {
        (Family::Dinov2, width) if width.is_multiple_of(64) => width / 64,
        (Family::Siglip, 768) => 12,
        (Family::Siglip, 1024 | 1152 | 1536) => 16,
        (Family::Clip, _) => {
            return Err(format!(
                "its tensors are those of a CLIP tower (width {width}, {depth} blocks, patches of {patch} pixels), but do \
                 not show `num_attention_heads` and `hidden_act`, in which published models differ"
            ));
        }
        _ => {
            return Err(format!(
                "its tensors are those of a {} tower of width {width}, but do not show `num_attention_heads`, and no \
                 published model has this width",
                family.name()
            ));
        }
    };
    let activation = if family == Family::Siglip { Activation::GeluTanh } else { Activation::Gelu };
    let config = TowerConfig {
        family,
        width,
        depth,
        heads,
        mlp_width,
        patch,
        side: grid.saturating_mul(patch),
        registers,
        activation,
        epsilon: 1e-6,
        projection: None,
        attention_pool: false,
    };
    let assumed = vec![
        format!("num_attention_heads = {heads}"),
        format!("hidden_act = {}", if family == Family::Siglip { "gelu_pytorch_tanh" } else { "gelu" }),
        "layer_norm_eps = 1e-6".to_owned(),
    ];
    Ok((config, assumed))
}
