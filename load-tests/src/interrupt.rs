//! Ends the program when it is told to, so that what it started ends with it.

use dockbell_chassis::lifecycle::BoxError;
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};

/// Returns the error that a run ends with once somebody asks for its end.
pub(crate) async fn interrupted() -> BoxError {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminated) => terminated.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        Ok(()) = ctrl_c() => {}
        _ = terminated => {}
    }
    "it was interrupted".into()
}

/// Goes on until it is done or somebody asks for its end.
pub(crate) async fn unless_interrupted<T>(work: impl Future<Output = Result<T, BoxError>>) -> Result<T, BoxError> {
    tokio::select! {
        done = work => done,
        error = interrupted() => Err(error),
    }
}
