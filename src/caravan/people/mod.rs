//! Who a player is: an origin, attributes, skills and experience, and what it wears. All of it is value: it comes with one plan and
//! goes with one. A player without a character plays as somebody of no origin, who is good at nothing in particular.
//!
//! | file | what |
//! |---|---|
//! | `character` | what a character is, as the save says |
//! | `begin` | it begins and ends |
//! | `learn` | experience, levels and what is learned with them |
//! | `gear` | what is worn, and what mends the wounded on the way |
//! | `vigour` | injuries, and of what a character dies |
//! | `pack` | what is carried, and how much room is left |
//! | `talents` | what all of that comes to in the rules |
//! | `handbook` | what there is to become, to learn and to wear, for those who ask |
//! | `words` | the words for it at a console |

mod begin;
mod character;
mod gear;
mod handbook;
mod learn;
mod pack;
mod talents;
mod vigour;
mod words;

pub use begin::{CharacterRefusal, CreateCharacter, Created, DeleteCharacter, EndCharacter};
pub use character::{Attributes, Character, Skills};
pub use gear::{GearRefusal, Outfit, TakeOff, Treat, Wear, Wore, Worn};
pub use handbook::{About, Handbook, Known};
pub use learn::{LEVEL_MAX, Learn, LearnRefusal, Learned, Study, experience_of, level_of};
pub use pack::{Pack, Packed};
pub use talents::Talents;
pub use vigour::{VIGOUR_MAX, Vigour};
pub use words::PeopleCommand;

pub(super) use begin::{create, created, delete, deleted, leave_all};
pub(super) use character::{
    CHARACTER, EXPERIENCE, FRESH_STARTS, GIFT, LEVEL, LIVES, POINTS, attribute_asset, origin_asset,
    skill_asset,
};
pub(super) use gear::{put_away, slot_asset, take_off, treat, wear, wore, worn_asset};
pub(super) use handbook::write_handbook;
pub(super) use learn::{advance, learn, learned, with_experience};
pub(super) use pack::count_slots;
pub(super) use vigour::{VIGOUR, VIGOUR_MS, dies};
pub(super) use words::VERBS;
