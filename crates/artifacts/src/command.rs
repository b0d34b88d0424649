//! The commands that messages advise, under the name of the program that the user typed.

use std::sync::OnceLock;

/// The program as users type it, unless [`set_program`] gives another name.
const DEFAULT: &str = "cargo xtask";

static PROGRAM: OnceLock<&'static str> = OnceLock::new();

/// Sets the name of the program in messages. Only the first call has an effect.
pub fn set_program(name: &'static str) {
    let _ = PROGRAM.set(name);
}

/// Returns the command with these arguments as the user types it, e.g. `cargo xtask train --force`.
pub fn line(arguments: &str) -> String {
    format!("{} {arguments}", program())
}

/// Replaces `cargo xtask` by the name of the program, in a text of several commands.
pub fn help(text: &str) -> String {
    text.replace(DEFAULT, program())
}

/// Returns the program as the user types it: `cargo xtask`, or `candling`.
pub fn program() -> &'static str {
    PROGRAM.get().copied().unwrap_or(DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_name_of_program_counts() {
        assert_eq!(line("train --force"), "cargo xtask train --force");
        set_program("cargo xtask");
        set_program("other");
        assert_eq!(help("  cargo xtask judge"), "  cargo xtask judge");
        assert_eq!(line("train"), "cargo xtask train");
    }
}
