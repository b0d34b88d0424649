//! Names of results: words separated by dots, such as `cpu.train.f32.b16`.

/// Returns the name of the memory result that belongs to a speed result: `cpu.train.memory.b16` for
/// `cpu.train.f32.b16`. Precisions other than f32 stay in the name.
pub(crate) fn memory_name(name: &str) -> String {
    match name.split('.').collect::<Vec<_>>().as_slice() {
        [device, part, "f32", batch] => format!("{device}.{part}.memory.{batch}"),
        [device, part, rest @ ..] => format!("{device}.{part}.memory.{}", rest.join(".")),
        _ => format!("{name}.memory"),
    }
}

/// Returns whether `name` starts with all words of `prefix`.
pub(crate) fn has_prefix(name: &str, prefix: &str) -> bool {
    let rest = name.strip_prefix(prefix.trim_end_matches('.'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_name_omits_only_f32() {
        assert_eq!(memory_name("cpu.train.f32.b32"), "cpu.train.memory.b32");
        assert_eq!(memory_name("cuda.train.bf16.b256"), "cuda.train.memory.bf16.b256");
    }

    #[test]
    fn prefixes_consist_of_whole_words() {
        assert!(has_prefix("cpu.train.f32.b16", "cpu.train") && has_prefix("cpu.train.f32.b16", "cpu.train."));
        assert!(has_prefix("cpu.train.f32.b16", "cpu.train.f32.b16"));
        assert!(!has_prefix("cpu.train.f32.b16", "cpu.train.f32.b1") && !has_prefix("cpu.train", "cpu.train.f32"));
    }
}
