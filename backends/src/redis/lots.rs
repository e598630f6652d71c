//! Calls that many make at once, put into lots: a script that does the work of many costs the server far less than as many
//! scripts.
//!
//! Nobody waits for a lot to fill: one is made of what is there as soon as a place is free to call. So a call that is
//! alone is made at once, and lots become the larger the more there is to do.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

use crate::store::StoreError;

/// Calls under way at once: while the server works on one, the next is on its way.
pub(super) const PLACES: usize = 2;
/// What a lot weighs at most, unless it is a single call. The server does nothing else for a millisecond or two then.
const WEIGHT: usize = 64;
/// Callers that wait for a lot; more wait for a place to wait in.
const WAITING: usize = 1024;

/// A call, and who is to be told what came of it.
#[derive(Debug)]
struct Asked<T, A> {
    call: T,
    weight: usize,
    answer: oneshot::Sender<Result<A, StoreError>>,
}

/// Where calls wait to be put into a lot.
#[derive(Debug)]
pub(super) struct Lots<T, A>(mpsc::Sender<Asked<T, A>>);

/// What makes lots of the calls that wait.
#[derive(Debug)]
pub(super) struct Waiting<T, A> {
    calls: mpsc::Receiver<Asked<T, A>>,
    /// The one that did not fit into the last lot.
    next: Option<Asked<T, A>>,
}

/// Shared by those who make the calls.
pub(super) type Shared<T, A> = Arc<Mutex<Waiting<T, A>>>;

impl<T, A> Lots<T, A> {
    /// Calls are made for as long as somebody serves what is returned beside.
    pub(super) fn new() -> (Self, Shared<T, A>) {
        let (sender, calls) = mpsc::channel(WAITING);
        (Self(sender), Arc::new(Mutex::new(Waiting { calls, next: None })))
    }

    /// What comes of a call. Whether one had an effect whose answer is an error, or whose future is dropped, is not known.
    pub(super) async fn call(&self, call: T, weight: usize) -> Result<A, StoreError> {
        let (answer, answered) = oneshot::channel();
        let closed = || StoreError("the store is closed".to_owned());
        self.0.send(Asked { call, weight, answer }).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}

impl<T, A> Waiting<T, A> {
    /// What is there, up to the weight of a lot; once something is. Nothing when nobody can call any more.
    async fn lot(&mut self) -> Vec<Asked<T, A>> {
        let first = match self.next.take() {
            Some(first) => Some(first),
            None => self.calls.recv().await,
        };
        let mut lot: Vec<_> = first.into_iter().collect();
        let mut weight: usize = lot.iter().map(|asked| asked.weight).sum();
        while weight < WEIGHT
            && let Ok(asked) = self.calls.try_recv()
        {
            weight += asked.weight;
            if weight > WEIGHT {
                self.next = Some(asked);
            } else {
                lot.push(asked);
            }
        }
        lot
    }
}

/// Makes calls of lots with `call`, which yields an answer for each of a lot, until nobody can call any more.
pub(super) async fn serve<T, A, F>(waiting: Shared<T, A>, call: impl Fn(Vec<T>) -> F)
where
    F: Future<Output = Result<Vec<A>, StoreError>>,
{
    loop {
        let lot = waiting.lock().await.lot().await;
        if lot.is_empty() {
            return;
        }
        let (calls, callers): (Vec<T>, Vec<_>) = lot.into_iter().map(|asked| (asked.call, asked.answer)).unzip();
        let (mut answers, failure) = match call(calls).await {
            Ok(answers) => (answers.into_iter(), StoreError("the answer is shorter than what was asked".to_owned())),
            Err(error) => (Vec::new().into_iter(), error),
        };
        for caller in callers {
            // Whoever called may have stopped waiting.
            drop(caller.send(answers.next().ok_or_else(|| failure.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::sync::Mutex as StdMutex;

    use futures_util::future::{join, join_all};

    use super::*;

    /// What was called of these weights at once, lot by lot.
    async fn lots_of(weights: &[usize]) -> Vec<Vec<usize>> {
        let (lots, waiting) = Lots::new();
        let seen = StdMutex::new(Vec::new());
        let serving = serve(waiting, |calls: Vec<usize>| {
            let answers = calls.iter().map(|call| call * 10).collect();
            seen.lock().unwrap().push(calls);
            ready(Ok(answers))
        });
        let calling = async {
            let answers = join_all(weights.iter().map(|&weight| lots.call(weight, weight))).await;
            let expected: Vec<_> = weights.iter().map(|weight| Ok(weight * 10)).collect();
            assert_eq!(answers, expected);
            drop(lots);
        };
        join(calling, serving).await;
        seen.into_inner().unwrap()
    }

    #[tokio::test]
    async fn what_is_there_at_once_is_one_lot_up_to_its_weight_and_everyone_gets_the_answer_to_what_was_asked() {
        assert_eq!(lots_of(&[1, 2, 3]).await, [[1, 2, 3]]);
        assert_eq!(lots_of(&[WEIGHT - 1, 2, 3]).await, [vec![WEIGHT - 1], vec![2, 3]]);
        assert_eq!(lots_of(&[1, WEIGHT + 1, 2]).await, [vec![1], vec![WEIGHT + 1], vec![2]]);
    }

    #[tokio::test]
    async fn a_failure_is_that_of_all_of_a_lot_and_a_lot_that_nobody_serves_fails() {
        let (lots, waiting) = Lots::<u8, u8>::new();
        let serving = serve(waiting, |_: Vec<u8>| ready(Err(StoreError("away".to_owned()))));
        let calling = async {
            for answer in join_all([lots.call(1, 1), lots.call(2, 1)]).await {
                assert_eq!(answer, Err(StoreError("away".to_owned())));
            }
        };
        tokio::select! { () = calling => {}, () = serving => panic!("it ended while somebody could call") }
        let (lots, waiting) = Lots::<u8, u8>::new();
        drop(waiting);
        assert_eq!(lots.call(1, 1).await, Err(StoreError("the store is closed".to_owned())));
    }
}
