//! The verdicts on all ordered pairs as a square.

use std::collections::HashMap;

use super::model::Report;
use crate::inventory::expand_list;

/// What is known of one ordered pair. A later variant outranks an earlier one when the legs of a pair differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cell {
    /// No such pair: the same node, or not in scope.
    Empty,
    /// Nova needs no SSH between them.
    NotNeeded,
    /// Every leg that is needed was proven.
    Verified,
    /// Not proven in this run; the files allow it.
    Predicted,
    /// Not known.
    Unproven,
    /// Known not to work.
    Broken,
}

impl Cell {
    /// All that stand for a pair, as a legend lists them.
    pub const PAIRS: [Self; 5] = [
        Self::Verified,
        Self::Broken,
        Self::Unproven,
        Self::Predicted,
        Self::NotNeeded,
    ];

    /// One character for a matrix. ASCII, and no two alike without colour.
    #[must_use]
    pub fn glyph(self) -> char {
        match self {
            Self::Empty => ' ',
            Self::NotNeeded => '-',
            Self::Verified => '.',
            Self::Predicted => '~',
            Self::Unproven => '?',
            Self::Broken => 'X',
        }
    }

    /// What the character means.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Empty => "no such pair",
            Self::NotNeeded => "not needed",
            Self::Verified => "verified",
            Self::Predicted => "predicted only",
            Self::Unproven => "unproven",
            Self::Broken => "broken",
        }
    }
}

/// Sources down, destinations across.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix<'r> {
    /// The nodes, in inventory order: of the rows as well as of the columns.
    pub nodes: Vec<&'r str>,
    cells: Vec<Cell>,
}

impl<'r> Matrix<'r> {
    /// The worst verdict of each pair of a report.
    #[must_use]
    pub fn of(report: &'r Report) -> Self {
        let nodes: Vec<&str> = report.nodes.iter().map(|node| node.name.as_str()).collect();
        let place: HashMap<&str, usize> = nodes
            .iter()
            .enumerate()
            .map(|(at, name)| (*name, at))
            .collect();
        let mut matrix = Self {
            cells: vec![Cell::Empty; nodes.len() * nodes.len()],
            nodes,
        };
        for leg in &report.legs {
            let cell = match leg.verdict.as_str() {
                "verified" => Cell::Verified,
                "broken" => Cell::Broken,
                "unproven" if leg.code.as_deref() == Some("predicted-only") => Cell::Predicted,
                "unproven" => Cell::Unproven,
                "not-needed" => Cell::NotNeeded,
                _ => continue,
            };
            let source = place.get(leg.source.as_str());
            let destination = place.get(leg.destination.as_str());
            if let (Some(&source), Some(&destination)) = (source, destination) {
                matrix.worsen(source, destination, cell);
            }
        }
        let places = |names: &str| -> Vec<usize> {
            let names = expand_list(names).unwrap_or_default();
            names
                .iter()
                .filter_map(|name| place.get(name.as_str()).copied())
                .collect()
        };
        for legs in &report.predicted_only {
            let destinations = places(&legs.destinations);
            for source in places(&legs.sources) {
                for &destination in destinations.iter().filter(|&&at| at != source) {
                    matrix.worsen(source, destination, Cell::Predicted);
                }
            }
        }
        matrix
    }

    /// What is known of one pair, by the places of its nodes.
    #[must_use]
    pub fn cell(&self, source: usize, destination: usize) -> Cell {
        self.cells[source * self.nodes.len() + destination]
    }

    /// Nodes that look alike, in the order of their first members: whatever others can do with one of them, they can do
    /// with all, and what one of them can do with others, all can. Hence one cell for each pair of classes says all that
    /// the matrix says. `None` when there are more than `most` classes.
    #[must_use]
    pub fn classes(&self, most: usize) -> Option<Vec<Vec<usize>>> {
        let mut classes: Vec<Vec<usize>> = Vec::new();
        for node in 0..self.nodes.len() {
            let alike = classes
                .iter()
                .position(|class| self.are_alike(class[0], node));
            match alike {
                Some(at) => classes[at].push(node),
                None if classes.len() == most => return None,
                None => classes.push(vec![node]),
            }
        }
        Some(classes)
    }

    /// What the members of one class can do with those of another, or among themselves.
    #[must_use]
    pub fn cell_of_classes(&self, sources: &[usize], destinations: &[usize]) -> Cell {
        let pair = sources.iter().find_map(|&source| {
            let destination = destinations.iter().find(|&&at| at != source)?;
            Some((source, *destination))
        });
        pair.map_or(Cell::Empty, |(source, destination)| {
            self.cell(source, destination)
        })
    }

    /// Whether swapping two nodes leaves the matrix as it is.
    fn are_alike(&self, one: usize, other: usize) -> bool {
        self.cell(one, other) == self.cell(other, one)
            && (0..self.nodes.len())
                .filter(|&third| third != one && third != other)
                .all(|third| {
                    self.cell(one, third) == self.cell(other, third)
                        && self.cell(third, one) == self.cell(third, other)
                })
    }

    fn worsen(&mut self, source: usize, destination: usize, cell: Cell) {
        let at = source * self.nodes.len() + destination;
        self.cells[at] = self.cells[at].max(cell);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Lane, Reason, Why};
    use crate::report::{FoldedLegs, sample};

    fn rows(report: &Report) -> Vec<String> {
        let matrix = Matrix::of(report);
        let places = 0..matrix.nodes.len();
        places
            .clone()
            .map(|source| {
                places
                    .clone()
                    .map(|destination| matrix.cell(source, destination).glyph())
                    .collect()
            })
            .collect()
    }

    #[test]
    fn rows_are_sources_and_the_worst_leg_of_a_pair_shows() {
        let mut report = sample::healthy(3);
        // cold-pull from cmp002 to cmp001 belongs to the move from cmp001 to cmp002.
        for leg in report.pick(&[Lane::ColdPull], |client, server| {
            (client, server) == ("cmp002", "cmp001")
        }) {
            leg.break_with(Reason::HostKeyUnknown, "");
        }
        for leg in report.pick(&[Lane::ColdPush], |client, _| client == "cmp003") {
            leg.leave_unproven(Why::Throttled);
        }
        assert_eq!(rows(&report), [" X.", ". .", "?? "]);
    }

    #[test]
    fn nodes_that_look_alike_are_one_class_and_nothing_is_lost() {
        let mut report = sample::healthy(9);
        for leg in report.pick(&[Lane::ColdPush], |_, server| server == "cmp003") {
            leg.break_with(Reason::HostKeyChanged, "");
        }
        for leg in report.pick(&[Lane::ColdPush], |client, server| {
            ["cmp005", "cmp006"].contains(&client) && ["cmp005", "cmp006"].contains(&server)
        }) {
            leg.leave_unproven(Why::Throttled);
        }
        let matrix = Matrix::of(&report);
        let classes = matrix.classes(3).unwrap();
        assert_eq!(classes, [vec![0, 1, 3, 6, 7, 8], vec![2], vec![4, 5]]);
        for sources in &classes {
            for destinations in &classes {
                let cell = matrix.cell_of_classes(sources, destinations);
                for &source in sources {
                    for &destination in destinations.iter().filter(|&&at| at != source) {
                        assert_eq!(matrix.cell(source, destination), cell);
                    }
                }
            }
        }
        assert_eq!(
            matrix.cell_of_classes(&classes[1], &classes[1]),
            Cell::Empty
        );
        assert_eq!(matrix.classes(2), None);
    }

    #[test]
    fn pairs_that_were_only_predicted_and_pairs_out_of_scope_are_no_success() {
        let mut report = sample::healthy(3);
        report
            .legs
            .retain(|leg| leg.source == "cmp001" && leg.destination == "cmp002");
        report.predicted_only.push(FoldedLegs {
            lane: Lane::ColdPush,
            sources: "cmp[002-003]".to_owned(),
            destinations: "cmp[001,003]".to_owned(),
            count: 3,
        });
        assert_eq!(rows(&report), [" . ", "~ ~", "~  "]);
    }
}
