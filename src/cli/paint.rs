//! Colours: decided once, named after what they mean, never needed to understand the text.

use std::fmt;

use anstyle::{AnsiColor, Style};

use crate::system::Terminal;

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    /// The title of a section.
    Heading,
    /// It works.
    Good,
    /// It is broken.
    Bad,
    /// It is not known, or wants attention.
    Doubtful,
    /// Something to type or to look up.
    Code,
    /// What is there for completeness.
    Faint,
}

impl Label {
    fn style(self) -> Style {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match self {
            Self::Heading => Style::new().bold(),
            Self::Good => colour(AnsiColor::Green),
            Self::Bad => colour(AnsiColor::Red).bold(),
            Self::Doubtful => colour(AnsiColor::Yellow),
            Self::Code => colour(AnsiColor::Cyan),
            Self::Faint => Style::new().dimmed(),
        }
    }
}

/// When to use colours, as `--color` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
    #[default]
    Auto,
    /// Also into files and pipes.
    Always,
    /// Not at all.
    Never,
}

/// Whether a stream takes colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Paint {
    colours: bool,
}

impl Paint {
    /// For a stream that is a terminal or not.
    pub(super) fn new(choice: ColorChoice, terminal: Terminal, is_terminal: bool) -> Self {
        Self {
            colours: match choice {
                ColorChoice::Always => true,
                ColorChoice::Never => false,
                ColorChoice::Auto => is_terminal && !terminal.plain,
            },
        }
    }

    /// Whether there are colours.
    pub(super) fn is_on(self) -> bool {
        self.colours
    }

    /// The text in the colours of its label.
    pub(super) fn text<T: fmt::Display>(self, label: Label, text: T) -> Painted<T> {
        Painted {
            style: self.colours.then(|| label.style()),
            text,
        }
    }
}

/// Text with its colours.
pub(super) struct Painted<T> {
    style: Option<Style>,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.style {
            Some(style) => {
                write!(f, "{style}")?;
                self.text.fmt(f)?;
                write!(f, "{style:#}")
            }
            None => self.text.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_that_want_them() {
        let wants = Terminal::default();
        let plain = Terminal {
            plain: true,
            ..wants
        };
        for (choice, terminal, is_terminal, colours) in [
            (ColorChoice::Auto, wants, true, true),
            (ColorChoice::Auto, wants, false, false),
            (ColorChoice::Auto, plain, true, false),
            (ColorChoice::Always, plain, false, true),
            (ColorChoice::Never, wants, true, false),
        ] {
            assert_eq!(Paint::new(choice, terminal, is_terminal).is_on(), colours);
        }
    }

    #[test]
    fn colours_do_not_count_as_width() {
        let paint = Paint { colours: true };
        assert_eq!(
            format!("[{:<4}]", paint.text(Label::Bad, "X")),
            "[\u{1b}[1m\u{1b}[31mX   \u{1b}[0m]"
        );
        assert_eq!(format!("{}", Paint::default().text(Label::Bad, "X")), "X");
    }
}
