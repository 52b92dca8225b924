//! A prediction as one byte, so that a hundred million of them fit in memory.

use crate::domain::{NotNeeded, Predicted, Reason, Why};

/// [`Predicted`] in one byte. Zero stands for nothing, so that fresh memory is "not worked out yet".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code(pub(super) u8);

const WORKS: u8 = 1;
const FIRST_REASON: u8 = 2;
const FIRST_WHY: u8 = 160;
const FIRST_NOT_NEEDED: u8 = 224;

const _: () = assert!(FIRST_REASON as usize + Reason::ALL.len() <= FIRST_WHY as usize);
const _: () = assert!(FIRST_WHY as usize + Why::ALL.len() <= FIRST_NOT_NEEDED as usize);
const _: () = assert!(FIRST_NOT_NEEDED as usize + NotNeeded::ALL.len() <= 256);

impl Code {
    pub(super) const WORKS: Self = Self(WORKS);

    pub(super) fn of(predicted: Predicted) -> Self {
        Self(match predicted {
            Predicted::Works => WORKS,
            Predicted::Breaks(reason) => FIRST_REASON + reason as u8,
            Predicted::Unknown(why) => FIRST_WHY + why as u8,
            Predicted::NotNeeded(why) => FIRST_NOT_NEEDED + why as u8,
        })
    }

    /// `None` for zero.
    pub(super) fn read(self) -> Option<Predicted> {
        let at = |first: u8| usize::from(self.0 - first);
        match self.0 {
            0 => None,
            WORKS => Some(Predicted::Works),
            FIRST_NOT_NEEDED.. => NotNeeded::ALL
                .get(at(FIRST_NOT_NEEDED))
                .map(|&why| Predicted::NotNeeded(why)),
            FIRST_WHY.. => Why::ALL
                .get(at(FIRST_WHY))
                .map(|&why| Predicted::Unknown(why)),
            _ => Reason::ALL
                .get(at(FIRST_REASON))
                .map(|&it| Predicted::Breaks(it)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prediction_survives() {
        let all = std::iter::once(Predicted::Works)
            .chain(Reason::ALL.iter().map(|&it| Predicted::Breaks(it)))
            .chain(Why::ALL.iter().map(|&it| Predicted::Unknown(it)))
            .chain(NotNeeded::ALL.iter().map(|&it| Predicted::NotNeeded(it)));
        for predicted in all {
            assert_eq!(Code::of(predicted).read(), Some(predicted));
        }
        assert_eq!(Code(0).read(), None);
    }
}
