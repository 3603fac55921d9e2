//! Where questions run: on blocking threads, a few at a time, each with a time-out. A question that takes longer is
//! answered with an error; its thread ends later, and keeps its place until then, so that slow ones can't pile up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Semaphore;

use super::App;

/// Enough for one node's memory; the wait for a place counts as well.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Questions that scan at once: the agent must stay small beside the node's work.
const RUNNING_MAX: usize = 4;

/// Runs questions against the app.
#[derive(Clone, Debug)]
pub struct Queries {
    app: Arc<App>,
    places: Arc<Semaphore>,
    counts: Arc<Counts>,
}

/// For `/metrics`.
#[derive(Debug, Default)]
pub struct Counts {
    pub answered: AtomicU64,
    pub failed: AtomicU64,
    pub timed_out: AtomicU64,
}

impl Queries {
    pub fn new(app: Arc<App>) -> Self {
        Self { app, places: Arc::new(Semaphore::new(RUNNING_MAX)), counts: Arc::default() }
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Answers `question`, or says in one line why not.
    pub async fn run<T: Send + 'static>(
        &self,
        question: impl FnOnce(&App) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let (app, places) = (self.app.clone(), self.places.clone());
        let run = async move {
            let place = places.acquire_owned().await.map_err(|error| error.to_string())?;
            let answer = tokio::task::spawn_blocking(move || {
                let answer = question(&app);
                drop(place);
                answer
            });
            answer.await.map_err(|_| "the question could not be answered: internal error".to_owned())?
        };
        let counter = match tokio::time::timeout(TIMEOUT, run).await {
            Ok(answer) => {
                let counter = if answer.is_ok() { &self.counts.answered } else { &self.counts.failed };
                counter.fetch_add(1, Ordering::Relaxed);
                return answer;
            }
            Err(_) => &self.counts.timed_out,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        Err(format!(
            "no answer within {} s: ask for less, by a shorter time range or a narrower filter",
            TIMEOUT.as_secs()
        ))
    }
}
