//! Read models in memory: the embedded default's, and the oracle of the others.
