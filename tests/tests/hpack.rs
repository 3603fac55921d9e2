//! The decoder of header blocks over recorded stories: whole connections, late joins, losses, damage, and an ordinary
//! decoder beside it.

#[path = "hpack/joins.rs"]
mod joins;
#[path = "hpack/reference.rs"]
mod reference;
#[path = "hpack/stories.rs"]
mod stories;
