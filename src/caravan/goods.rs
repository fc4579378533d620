//! What caravans carry.

use std::collections::BTreeMap;
use std::fmt;

use crate::prelude::*;

use super::lore::Lore;

/// Something to trade in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Good {
    /// Heavy and cheap.
    #[default]
    Salt,
    /// Heavy.
    Iron,
    /// Breaks easily.
    Glass,
    /// Keeps well.
    Wine,
    /// Light and dear.
    Silk,
}

impl MapKey for Good {}

impl Good {
    /// All of them.
    pub const ALL: [Good; 5] = [Good::Salt, Good::Iron, Good::Glass, Good::Wine, Good::Silk];
}

impl fmt::Display for Good {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Good::Salt => "salt",
            Good::Iron => "iron",
            Good::Glass => "glass",
            Good::Wine => "wine",
            Good::Silk => "silk",
        })
    }
}

impl std::str::FromStr for Good {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Good::ALL.into_iter().find(|good| good.to_string() == text);
        found.ok_or_else(|| {
            let all: Vec<String> = Good::ALL.iter().map(ToString::to_string).collect();
            format!("`{text}` is no good: expected {}", all.join(", "))
        })
    }
}

/// How many loads of each good; none of those that are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cargo(BTreeMap<Good, u16>);

impl Cargo {
    /// Loads it, on top of what is there.
    pub fn add(&mut self, good: Good, loads: u16) {
        if loads > 0 {
            let there = self.0.entry(good).or_default();
            *there = there.saturating_add(loads);
        }
    }

    /// How many loads of a good are in it.
    #[must_use]
    pub fn loads(&self, good: Good) -> u16 {
        self.0.get(&good).copied().unwrap_or(0)
    }

    /// Everything in it, by good.
    pub fn iter(&self) -> impl Iterator<Item = (Good, u16)> + '_ {
        self.0.iter().map(|(&good, &loads)| (good, loads))
    }

    /// What it weighs, kg.
    #[must_use]
    pub fn weight_kg(&self, lore: &Lore) -> u32 {
        self.iter().map(|(good, loads)| lore.good(good).weight_kg * u32::from(loads)).sum()
    }
}

/// How heavy a caravan looks from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Burden {
    /// Nothing to speak of.
    #[default]
    Empty,
    /// The beasts trot.
    Light,
    /// The beasts walk.
    Laden,
    /// The beasts groan.
    Heavy,
}

impl Burden {
    /// Of so many kilograms.
    #[must_use]
    pub fn of(weight_kg: u32) -> Self {
        match weight_kg {
            0..50 => Burden::Empty,
            50..250 => Burden::Light,
            250..600 => Burden::Laden,
            _ => Burden::Heavy,
        }
    }
}

impl fmt::Display for Burden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Burden::Empty => "empty",
            Burden::Light => "light",
            Burden::Laden => "laden",
            Burden::Heavy => "heavy",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caravan_looks_as_heavy_as_its_cargo() {
        let (mut cargo, lore) = (Cargo::default(), Lore::shipped());
        assert_eq!(Burden::of(cargo.weight_kg(&lore)), Burden::Empty);
        cargo.add(Good::Silk, 10);
        assert_eq!(Burden::of(cargo.weight_kg(&lore)), Burden::Light);
        cargo.add(Good::Iron, 3);
        cargo.add(Good::Iron, 4);
        assert_eq!(cargo.iter().collect::<Vec<_>>(), [(Good::Iron, 7), (Good::Silk, 10)]);
        assert_eq!(Burden::of(cargo.weight_kg(&lore)), Burden::Heavy);
    }
}
