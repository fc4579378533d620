//! Derives of the Terrane game server.
