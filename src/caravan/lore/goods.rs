//! goods.toml: what goods cost and weigh. The goods themselves are the game's.

use std::collections::BTreeMap;

use crate::prelude::*;
use crate::reference::{Checker, Spanned};

use super::super::goods::Good;

/// Most silver that a load may usually cost.
const PRICE_MAX: i64 = 100_000;
/// Most that a load may weigh, kg.
const WEIGHT_KG_MAX: i64 = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    good: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: Spanned<String>,
    name: Spanned<String>,
    price: Spanned<i64>,
    weight_kg: Spanned<i64>,
}

/// What is said of a good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GoodInfo {
    /// What people call it.
    pub name: String,
    /// What a load costs where there is neither want nor plenty, silver.
    pub price: u32,
    /// What a load weighs, kg.
    pub weight_kg: u32,
}

/// The good of this name in the save.
pub(super) fn named(name: &str) -> Option<Good> {
    Good::ALL.into_iter().find(|good| good.asset().as_str() == name)
}

/// All names.
pub(super) fn names() -> impl Iterator<Item = String> {
    Good::ALL.into_iter().map(|good| good.asset().to_string())
}

pub(super) fn read(check: &mut Checker<'_>) -> BTreeMap<Good, GoodInfo> {
    let Some(File { good: rows }) = check.parse::<File>() else { return BTreeMap::new() };
    check.ids("good", rows.iter().map(|row| &row.id));
    let mut goods = BTreeMap::new();
    for Row { id, name, price, weight_kg } in &rows {
        let key = |key: &str| format!("good.{}.{key}", id.get_ref());
        let good = check.known(&key("id"), id, "a good that the game knows", named(id.get_ref()), names());
        check.words(&key("name"), name, 40);
        let info = GoodInfo {
            name: name.get_ref().clone(),
            price: check.whole(&key("price"), price, 1..=PRICE_MAX) as u32,
            weight_kg: check.whole(&key("weight_kg"), weight_kg, 1..=WEIGHT_KG_MAX) as u32,
        };
        goods.extend(good.map(|good| (good, info)));
    }
    for good in Good::ALL.into_iter().filter(|good| !goods.contains_key(good)) {
        let found = format!("without {}", good.asset());
        check.wrong_at(0..0, "good", found, "a [[good]] for each good that the game knows", "add it");
    }
    goods
}
