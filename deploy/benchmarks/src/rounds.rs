//! Rounds: both sides are measured in turns, because machines are noisy.

use anyhow::Result;

/// Measures both sides once a round, each round in the other order, so that drift and warm-up favour neither.
/// Both functions get the number of the round, from 0.
pub(crate) async fn alternate(
    rounds: usize,
    mut ours: impl AsyncFnMut(usize) -> Result<f64>,
    mut theirs: impl AsyncFnMut(usize) -> Result<f64>,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut our_values, mut their_values) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let (our_value, their_value) = if round.is_multiple_of(2) {
            let our_value = ours(round).await?;
            (our_value, theirs(round).await?)
        } else {
            let their_value = theirs(round).await?;
            (ours(round).await?, their_value)
        };
        eprintln!("  round {}: ours {our_value:.1}, theirs {their_value:.1}", round + 1);
        our_values.push(our_value);
        their_values.push(their_value);
    }
    Ok((our_values, their_values))
}
