//! Properties of all sequences of commands.
