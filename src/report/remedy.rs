//! One remedy for many legs.

use super::model::LegReport;
use crate::domain::fold;

/// What to do about a group of legs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// For the whole group; nodes that differ from leg to leg are folded into ranges.
    All(String),
    /// For the first leg; the others need the same with names of their own.
    Example(String),
}

/// The remedy of legs that share a reason; `None` when they have none.
///
/// It is one for all of them only if each leg's own remedy is the same text but for the names of its nodes, and no
/// range of nodes would stand between backticks, where it would be typed as a command.
pub(super) fn remedy_for(legs: &[&LegReport]) -> Option<Remedy> {
    let (first, others) = legs.split_first()?;
    let text = first.remedy.as_deref()?;
    let template = Template::of(first, text);
    let alike = others.iter().all(|leg| {
        let text = leg.remedy.as_deref().unwrap_or_default();
        Template::of(leg, text) == template
    });
    if !alike {
        return Some(Remedy::Example(text.to_owned()));
    }
    let clients = fold(legs.iter().map(|leg| &leg.client));
    let servers = fold(legs.iter().map(|leg| &leg.server));
    let folded = template.fill(&clients, &servers);
    Some(match folded {
        Some(text) => Remedy::All(text),
        None => Remedy::Example(text.to_owned()),
    })
}

/// A remedy with its nodes' names taken out.
#[derive(Debug, PartialEq, Eq)]
struct Template(Vec<Piece>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Client,
    Server,
}

impl Template {
    fn of(leg: &LegReport, text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((at, name, piece)) = next_name(leg, rest) {
            pieces.push(Piece::Text(rest[..at].to_owned()));
            pieces.push(piece);
            rest = &rest[at + name.len()..];
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Self(pieces)
    }

    /// `None` when a range of several nodes would be typed.
    fn fill(&self, clients: &str, servers: &str) -> Option<String> {
        let mut text = String::new();
        for piece in &self.0 {
            let nodes = match piece {
                Piece::Text(piece) => {
                    text.push_str(piece);
                    continue;
                }
                Piece::Client => clients,
                Piece::Server => servers,
            };
            let typed = text.matches('`').count() % 2 == 1;
            if typed && nodes.contains(['[', ',']) {
                return None;
            }
            text.push_str(nodes);
        }
        Some(text)
    }
}

/// The first place where one of the leg's nodes is named, as a word of its own.
fn next_name<'l>(leg: &'l LegReport, text: &str) -> Option<(usize, &'l str, Piece)> {
    let client = find_word(text, &leg.client).map(|at| (at, leg.client.as_str(), Piece::Client));
    let server = find_word(text, &leg.server).map(|at| (at, leg.server.as_str(), Piece::Server));
    match (client, server) {
        (Some(client), Some(server)) => Some(if client.0 < server.0 { client } else { server }),
        (client, server) => client.or(server),
    }
}

/// Where `word` stands in `text` and is no part of a longer name.
fn find_word(text: &str, word: &str) -> Option<usize> {
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.match_indices(word).map(|(at, _)| at).find(|&at| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + word.len()..].chars();
        let next = after.next();
        // A full stop ends a sentence unless a name goes on behind it.
        let goes_on = match next {
            Some('.') => after.next().is_some_and(in_name),
            Some(c) => in_name(c),
            None => false,
        };
        !before.is_some_and(|c| in_name(c) || c == '.') && !goes_on
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_only_as_a_word_of_its_own() {
        for (text, found) in [
            ("on cmp1: chmod", Some(3)),
            ("on cmp10, then cmp1.", Some(15)),
            ("nova@cmp1", Some(5)),
            ("cmp1.example.org", None),
            ("x-cmp1 cmp1-b a.cmp1", None),
        ] {
            assert_eq!(find_word(text, "cmp1"), found, "{text}");
        }
    }
}
