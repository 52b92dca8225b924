//! Faults in front of Nova's API (`cloud/front.py`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// What happens to a request instead of, or beside, Nova's answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Nova never sees the request; the answer has this status and Nova's form.
    Answer(u16),
    /// Nova does the work, but the answer has this status.
    AnswerAfterwards(u16),
    /// The connection is closed; Nova never sees the request.
    Drop,
    /// Nova does the work; then the connection is closed without an answer.
    DropAfterwards,
    /// The request waits, then Nova answers.
    Delay(Duration),
}

/// Which requests something happens to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiFault {
    pub(crate) id: String,
    method: String,
    path: String,
    action: String,
    status: Option<u16>,
    message: String,
    retry_after: Option<u32>,
    delay: f64,
    drop: bool,
    when: String,
    times: Option<u32>,
    until: Option<f64>,
}

impl ApiFault {
    /// Happens to every request until the faults are cleared, unless narrowed.
    #[must_use]
    pub fn new(effect: Effect) -> Self {
        let mut fault = Self {
            id: String::new(),
            method: String::new(),
            path: String::new(),
            action: String::new(),
            status: None,
            message: "injected by the lab".into(),
            retry_after: None,
            delay: 0.0,
            drop: false,
            when: "before".into(),
            times: None,
            until: None,
        };
        if matches!(effect, Effect::AnswerAfterwards(_) | Effect::DropAfterwards) {
            fault.when = "after".into();
        }
        match effect {
            Effect::Answer(status) | Effect::AnswerAfterwards(status) => {
                fault.status = Some(status)
            }
            Effect::Drop | Effect::DropAfterwards => fault.drop = true,
            Effect::Delay(delay) => fault.delay = delay.as_secs_f64(),
        }
        fault
    }

    /// Only requests of this HTTP method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = method.into();
        self
    }

    /// Only requests in whose path and query this regular expression (Python's) is found.
    #[must_use]
    pub fn path(mut self, pattern: &str) -> Self {
        self.path = pattern.into();
        self
    }

    /// Only this action of `POST /servers/ID/action`, for example `migrate`.
    #[must_use]
    pub fn action(mut self, action: &str) -> Self {
        self.action = action.into();
        self
    }

    /// The text of the answer.
    #[must_use]
    pub fn message(mut self, message: &str) -> Self {
        self.message = message.into();
        self
    }

    /// The answer has a `Retry-After` of so many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Only the first so many requests.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.times = Some(count);
        self
    }

    /// Only for so long from now.
    #[must_use]
    pub fn lasting(mut self, time: Duration) -> Self {
        self.until = Some(since_epoch() + time.as_secs_f64());
        self
    }
}

/// The faults file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FaultsFile {
    #[serde(default)]
    pub(crate) rules: Vec<ApiFault>,
    /// The port is closed until then, in seconds since the epoch.
    #[serde(default)]
    pub(crate) refuse: Option<f64>,
}

impl FaultsFile {
    pub(crate) fn add(&mut self, mut fault: ApiFault) -> String {
        // The middleware counts by id, over the whole life of the cloud.
        fault.id = format!("{:x}", (since_epoch() * 1e6) as u64);
        let id = fault.id.clone();
        self.rules.push(fault);
        id
    }

    pub(crate) fn refuse_for(&mut self, time: Duration) {
        self.refuse = Some(since_epoch() + time.as_secs_f64());
    }
}

fn since_epoch() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}
