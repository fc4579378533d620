//! Derives of the Terrane game server.
//!
//! *Does*: turns the sync policies of a component into its encoder, decoder and projection, and the declaration
//! of an action or of a class of durability into constants; refuses what is not declared, at the very token.
//! *Does not*: know any type but by its name as written; what it generates names only public items of `terrane`.

mod action;
mod checks;
mod persist;
mod replicate;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `terrane::replication::SyncFields` and `SyncNode` for a struct or enum, from one policy per field. A type that
/// is a bevy component too is `Replicate` then; one that is not can be `nested` in a field of another.
///
/// | attribute of a field | who is sent the field |
/// |---|---|
/// | `#[sync(broadcast)]` | everybody who sees the entity |
/// | `#[sync(server_only)]` | nobody: not even an encoder for it exists |
/// | `#[sync(masked = path)]` | everybody what `fn(&Value) -> Value` makes of it |
/// | `#[sync(per_player = path)]` | each viewer what `fn(&Value, &PlayerId) -> Option<Value>` gives; `None` hides it |
/// | `#[sync(per_player_slice)]` | each viewer the own entry of a `BTreeMap<PlayerId, _>`, as a map |
/// | `#[sync(custom = path)]` | each viewer what `fn(&Value, &Viewing) -> Option<Value>` gives; `None` hides it |
/// | `#[sync(computed = path)]` | everybody what `fn(&Self) -> Value` makes of the whole; the field's own value is not told |
///
/// `per_player` takes a function of a viewing too, and `custom` one that says `bool` of a value and a viewing, or of a
/// viewing alone. All keep the field's type; another one goes through a `computed` field.
///
/// Options, behind the policy:
///
/// - `nested`: the field's type has policies of its own, or is an `Option`, `Box`, `Vec`, array or `BTreeMap` of such. Its
///   policy picks or changes the values; theirs decide about their fields.
/// - `precision = 0.01`, for `f32`, `f64`, `Vec2` and `Vec3`: the smallest difference that is told, in the field's
///   unit. Fewer bytes, and a change below it sends nothing.
/// - `max_bytes = 2048`, for fields of varying length (default 512): more is not sent, and counted. Within a nested
///   value, that of the component's field around it holds.
/// - `reveal_ids`: a `NetId` in the field is told as it is. Without it, one that names an entity which the viewer does
///   not see is blanked.
///
/// | attribute of the type | who sees the component at all |
/// |---|---|
/// | none | everybody who sees the entity |
/// | `#[sync(owner)]`, `#[sync(party)]`, `#[sync(team)]` | the entity's owner, who is in its party, in its team |
/// | `#[sync(role = Gm)]` | who has that role or a higher one |
/// | `#[sync(custom = path)]` | whom `fn(&Self, &Viewing) -> bool` or `fn(&Viewing) -> bool` lets through |
/// | `#[sync(server_only)]` | nobody, and no ghost has it; its fields need no policies |
///
/// Options, with or without a policy for the component:
///
/// - `priority = 4`, 1 to 8: where an update cannot take everything, an entity with a change of this component comes to its
///   turn that many times as fast as usual.
/// - `max_staleness = 10`, 1 to 200 ticks: a change that has waited for so long goes before everything but the player's own
///   avatar, far away and over the budget of bytes too. When even that is not enough, `view_overdue` counts it.
///
/// A type with one of these cannot be nested. An enum is one field as a component, and takes `max_bytes` on the type.
///
/// The type must be `Clone + Default`; all fields `Clone + Default` and, unless nested, `Serialize + DeserializeOwned`,
/// those that are not sent too, because saves hold them. A field without a policy does not compile, nor does
/// bevy's raw `Entity`, which means nothing outside its own cell: use `NetId`.
#[proc_macro_derive(Replicate, attributes(sync))]
pub fn derive_replicate(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    replicate::expand(&input).unwrap_or_else(|error| error.into_compile_error()).into()
}

/// Implements `terrane::action::Action` for a struct or enum that a player may send.
///
/// `#[action(scope = self, caller = player, reply = Receipt, rate = 5, burst = 10, coalesce = none, durability = memory)]`, where
///
/// - `scope` is whose data the action may reach: `self` (the caller's own), `group` (that of the caller's party) or `global`
///   (everybody's, which needs a role);
/// - `caller` is who may call it: `player` (everybody), `gm` (and above) or `admin`;
/// - `reply` is the type of its one answer, `()` for a bare "done";
/// - `rate` and `burst` are its token bucket for one caller: how many a second in the long run, and how many at once;
/// - `coalesce` is what becomes of several in one tick: `none` (each is run) or `newest` (the others are answered
///   `Superseded`);
/// - `durability` is when what it does is durable: `memory` (with the world's next image) or `immediate` (before it is
///   answered; only such an action can change value).
///
/// None of them has a default. Continuous input, such as steering, is declared with `latest_wins` instead of the last five:
/// only the newest counts, one a tick is run, it is not stored and not answered.
///
/// Besides, where they are needed:
///
/// - `refusal = Type` is the type of the game's own reasons to refuse, which implements `Display`; a text otherwise;
/// - `on = field` does the action on the entity that this field, a `NetId`, names, instead of on the avatar: one that the
///   caller owns, wherever it is; with `scope = self`;
/// - `speaks` lets nobody call it who is muted.
///
/// The type, its reply and its refusal must be `Serialize + DeserializeOwned + Send + Sync + 'static`.
#[proc_macro_derive(Action, attributes(action))]
pub fn derive_action(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    action::expand(&input).unwrap_or_else(|error| error.into_compile_error()).into()
}

/// Implements `terrane::cell::persist::Persist` for a component of avatars: how soon a change of it is durable.
///
/// | attribute of the type | a change is written |
/// |---|---|
/// | `#[persist(immediate)]` | at the end of the tick in which it is made |
/// | `#[persist(periodic)]` | by the next scan, every `save.periodic_every_s` seconds |
/// | `#[persist(on_disconnect)]` | when the player leaves, or the world ends |
///
/// One of them must be there: none is the default. `app.persist::<C>()` puts it to use, beside `replicate` or `server_only`.
#[proc_macro_derive(Persist, attributes(persist))]
pub fn derive_persist(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    persist::expand(&input).unwrap_or_else(|error| error.into_compile_error()).into()
}
