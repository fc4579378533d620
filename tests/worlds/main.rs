//! Whole worlds in this process, their clients beside them: one file for each thing that is shown of them. They are one
//! program, since the engine would be compiled into each again.

#[path = "../support/orchard.rs"]
mod orchard;
#[path = "../support/shop.rs"]
mod shop;
#[path = "../support/mod.rs"]
mod support;

mod action_effects;
mod actions;
mod answers;
mod bots;
mod codec;
mod codec_hostile;
mod contexts;
mod crowd;
mod derive;
mod durability;
mod game_rules;
mod ghosts;
mod globals;
mod histories;
mod lives;
mod market;
mod numbers;
mod overlap;
mod people;
#[cfg(feature = "planted-faults")]
mod planted_faults;
mod player_events;
mod post;
mod profiles;
mod refusals;
mod repository;
mod resumes;
mod roads;
mod second_game;
mod sessions;
mod starts;
mod told;
mod trade;
mod value;
mod value_again;
mod views;
mod war;
mod world;
