//! The most that a fleet delivers on this machine, which the other scenarios take their rates from.

use std::time::Duration;

use dockbell_chassis::lifecycle::BoxError;

use crate::plan::Plan;
use crate::report::{say, tell};
use crate::trial::Ground;

const FIRST_RATE: f64 = 100.0;
const STEP: f64 = 1.4;
const MOST_STEPS: usize = 20;
const WARM_UP: Duration = Duration::from_secs(2);
const LENGTH: Duration = Duration::from_secs(4);
/// A fleet that delivers less of what is due does not keep up.
const KEEPS_UP: f64 = 0.95;

/// Raises the rate until the fleet does not keep up, and returns the most events per second that it delivered.
pub(crate) async fn measure(ground: &Ground<'_>, repositories: usize) -> Result<f64, BoxError> {
    let crew = ground.crew("ceiling", repositories, &[]).await?;
    let (mut rate, mut most) = (FIRST_RATE, 0.0_f64);
    for step in 0..MOST_STEPS {
        let plan = Plan { rate, repositories, warm_up: WARM_UP, length: LENGTH };
        let outcome = ground.play(&crew, (&format!("c{step}"), plan), (Vec::new(), &[]), |_| true).await?;
        let summary = tell(&format!("{rate:.0}/s due"), &outcome, |_| true);
        most = most.max(summary.rate);
        if summary.rate < KEEPS_UP * rate {
            break;
        }
        rate *= STEP;
    }
    ground.end(crew).await?;
    say(&format!("at most {most:.0} events/s"));
    Ok(most)
}
