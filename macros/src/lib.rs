//! Derives of the Terrane game server.
//!
//! *Does*: turns the sync policies of a component into its encoder, decoder and projection, and the declaration
//! of an action into its constants; refuses what is not declared, at the very token.
//! *Does not*: know any type but by its name as written; what it generates names only public items of `terrane`.

mod action;
mod checks;
mod replicate;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `terrane::replication::Replicate` for a struct, from one policy per field.
///
/// | attribute | who is sent the field |
/// |---|---|
/// | `#[sync(broadcast)]` | everybody who sees the entity |
/// | `#[sync(server_only)]` | nobody: not even an encoder for it exists |
///
/// Options, behind the policy:
///
/// - `precision = 0.01`, for `f32`, `f64`, `Vec2` and `Vec3`: the smallest difference that is told, in the field's
///   unit. Fewer bytes, and a change below it sends nothing.
/// - `max_bytes = 2048`, for fields of varying length (default 512): more is not sent, and counted.
///
/// The component must be `Component + Clone + Default`; all fields `Serialize + DeserializeOwned + Clone + Default`,
/// those that are not sent too, because saves hold them. A field without a policy does not compile, nor does
/// bevy's raw `Entity`, which means nothing outside its own cell: use `NetId`.
#[proc_macro_derive(Replicate, attributes(sync))]
pub fn derive_replicate(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    replicate::expand(&input).unwrap_or_else(|error| error.into_compile_error()).into()
}

/// Implements `terrane::action::Action` for a struct or enum that a player may send.
///
/// `#[action(scope = group, caller = player, reply = Receipt)]`, where
///
/// - `scope` is whose data the action may reach: `self`, `group` or `global`;
/// - `caller` is who may call it: `player` (everybody), `gm` (and above) or `admin`;
/// - `reply` is the type of its one answer, `()` for a bare "done".
///
/// None of the three has a default. Continuous input, such as steering, is declared with `latest_wins` instead
/// of `reply`: only the newest counts, it is not stored and not answered.
///
/// The type and its reply must be `Serialize + DeserializeOwned + Send + Sync + 'static`.
#[proc_macro_derive(Action, attributes(action))]
pub fn derive_action(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    action::expand(&input).unwrap_or_else(|error| error.into_compile_error()).into()
}
