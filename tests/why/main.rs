//! Why a player sees what: the answer names the level that hides, and agrees with what the player's client holds.

mod answers;
mod cases;
mod game;
mod histories;
