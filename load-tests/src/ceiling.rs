//! The highest rate that a fleet keeps up with on this machine, which the other scenarios take their rates from.

use std::time::Duration;

use dockbell_chassis::lifecycle::BoxError;

use crate::arrivals::Summary;
use crate::plan::Plan;
use crate::report::{say, tell};
use crate::trial::{Crew, Ground};

const FIRST_RATE: f64 = 100.0;
const STEP: f64 = 1.4;
const MOST_STEPS: usize = 20;
/// How often the middle is tried between the highest rate that was kept up with and the lowest that was not.
const REFINEMENTS: usize = 2;
/// A machine that is busy with something else for a moment is given another chance.
const CHANCES: usize = 2;
const WARM_UP: Duration = Duration::from_secs(2);
const LENGTH: Duration = Duration::from_secs(4);
/// What was due so shortly before the end of a run may be under way at its end. A fleet that is further behind after six
/// seconds falls behind for ever.
const UNDER_WAY: Duration = Duration::from_millis(250);

/// Raises the rate until the fleet does not keep up, and returns the highest one, in events per second, that it kept up
/// with. What it delivers while it falls behind says nothing: it is more, because what waits is worked on in larger lots.
pub(crate) async fn measure(ground: &Ground<'_>, repositories: usize) -> Result<f64, BoxError> {
    let crew = ground.crew("ceiling", repositories, &[]).await?;
    let (mut rate, mut most) = (FIRST_RATE, 0.0_f64);
    for _ in 0..MOST_STEPS {
        if !keeps_up_with(ground, &crew, rate, repositories).await? {
            break;
        }
        most = rate;
        rate *= STEP;
    }
    if most <= 0.0 {
        return Err(format!("the fleet does not keep up with {FIRST_RATE} events/s").into());
    }
    let mut too_much = rate;
    for _ in 0..REFINEMENTS {
        let middle = (most * too_much).sqrt();
        if keeps_up_with(ground, &crew, middle, repositories).await? { most = middle } else { too_much = middle }
    }
    ground.end(crew).await?;
    say(&format!("at most {most:.0} events/s"));
    Ok(most)
}

async fn keeps_up_with(ground: &Ground<'_>, crew: &Crew, rate: f64, repositories: usize) -> Result<bool, BoxError> {
    let plan = Plan { rate, repositories, warm_up: WARM_UP, length: LENGTH };
    for chance in 0..CHANCES {
        let name = format!("c{rate:.0}-{chance}");
        let outcome = ground.play(crew, (&name, plan), (Vec::new(), &[]), |_| true).await?;
        if is_kept_up_with(&tell(&format!("{rate:.0}/s due"), &outcome, |_| true), rate) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_kept_up_with(summary: &Summary, rate: f64) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "there are far fewer events than a float counts exactly")]
    let behind = summary.behind as f64 / rate;
    behind <= UNDER_WAY.as_secs_f64()
}
