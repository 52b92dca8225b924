//! A session: log in, find the API, agree on a microversion; then reads and writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use super::error::{Distrust, NovaError, Unsent};
use super::http::{Failed, Http, LARGEST, Patience, Response};
use crate::openstack::cloud::Cloud;
use crate::openstack::compute::{VersionRange, read_versions};
use crate::openstack::identity::{Token, compute_endpoint, read_token, token_request, token_url};
use crate::openstack::{Answer, Call, Fault, Method, Microversion};
use crate::system;

/// The first pause before a read is repeated; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// A token that ends within this is renewed first.
const RENEW_BEFORE_SECONDS: i64 = 10;

/// A session with a cloud. Clones share its token.
#[derive(Debug, Clone)]
pub struct Session {
    inner: Arc<Inner>,
    /// For how long a read is repeated while the API is away.
    reads: Duration,
}

#[derive(Debug)]
struct Inner {
    http: Http,
    cloud: Cloud,
    patience: Patience,
    endpoint: String,
    versions: VersionRange,
    version: Microversion,
    token: Mutex<Token>,
    /// How many seconds the cloud's clock is ahead of this machine's.
    ahead: AtomicI64,
}

/// What a session found when it was opened.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The user's name.
    pub user: String,
    /// The project's name.
    pub project: Option<String>,
    /// The roles.
    pub roles: Vec<String>,
    /// The Compute API's address.
    pub endpoint: String,
    /// What it speaks.
    pub versions: VersionRange,
}

/// What became of a write.
#[derive(Debug)]
pub enum Written {
    /// The API has taken it.
    Accepted(Answer),
    /// The API has refused it, and nothing has happened.
    Refused(Fault),
    /// It was not sent: there was no connection.
    NotSent(String),
    /// Nobody knows whether it was carried out: it has to be read back.
    Unknown {
        /// What came instead of an answer of Nova's.
        why: String,
        /// Whether the request is over all the same. If not, it may be waiting in a proxy or in nova-api, and be carried out
        /// later.
        over: bool,
    },
}

impl Session {
    /// Logs in, finds the Compute API and agrees on a microversion.
    ///
    /// # Errors
    /// Nobody answers, Keystone refuses, the catalog has no Compute API, or it is too old.
    pub async fn open(cloud: Cloud, http: Http, patience: Patience) -> Result<Self, NovaError> {
        let token = log_in(&http, &cloud, &patience).await?;
        let endpoint = compute_endpoint(&cloud, &token.catalog)?;
        let mut inner = Inner {
            http,
            cloud,
            patience,
            endpoint,
            versions: VersionRange {
                oldest: Microversion(1),
                newest: Microversion(1),
            },
            version: Microversion(1),
            token: Mutex::new(token),
            ahead: AtomicI64::new(0),
        };
        let call = Call::get("/", Microversion(1));
        let answer = inner.read(&call, patience.read).await?;
        inner.versions = read_versions(&answer).map_err(|source| NovaError::Answer {
            call: call.to_string(),
            source,
        })?;
        inner.version = inner.versions.used().map_err(NovaError::TooOld)?;
        Ok(Self {
            reads: patience.read,
            inner: Arc::new(inner),
        })
    }

    /// The same session, whose reads are not repeated for longer than this.
    #[must_use]
    pub fn impatient(&self, most: Duration) -> Self {
        Self {
            inner: self.inner.clone(),
            reads: self.reads.min(most),
        }
    }

    /// Who is logged in, and where.
    pub async fn opened(&self) -> Opened {
        let token = self.inner.token.lock().await;
        Opened {
            user: token.user.clone(),
            project: token.project.clone(),
            roles: token.roles.clone(),
            endpoint: self.inner.endpoint.clone(),
            versions: self.inner.versions,
        }
    }

    /// The address of the Compute API: what tells clouds apart.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.inner.endpoint
    }

    /// The newest microversion that the cloud speaks.
    #[must_use]
    pub fn newest(&self) -> Microversion {
        self.inner.versions.newest
    }

    /// The time by the cloud's clock, as the API's answers say it (`Date`).
    #[must_use]
    pub fn cloud_time(&self) -> Timestamp {
        let ahead = self.inner.ahead.load(Ordering::Relaxed);
        system::now()
            .checked_add(SignedDuration::from_secs(ahead))
            .unwrap_or_else(|_| system::now())
    }

    /// The microversion that servers are read in.
    #[must_use]
    pub fn version(&self) -> Microversion {
        self.inner.version
    }

    /// Asks something that changes nothing, and again while the API is away (429, 502, 503, 504, broken connections).
    ///
    /// # Errors
    /// It refuses, or stays away for longer than the patience.
    pub async fn read(&self, call: &Call) -> Result<Answer, NovaError> {
        debug_assert!(call.is_read(), "{call} is no read");
        self.inner.read(call, self.reads).await
    }

    /// Sends a write, once. Only what has certainly not been carried out is sent again: without a connection, and with a
    /// token that was not good any more.
    pub async fn write(&self, call: &Call) -> Written {
        self.inner.write(call, self.inner.patience.read).await
    }

    /// As [`Session::write`], but sends nothing any more when so much time has passed, whatever it was that took it.
    pub async fn write_within(&self, call: &Call, bound: Duration) -> Written {
        let bound = bound.min(self.inner.patience.read);
        self.inner.write(call, bound).await
    }
}

impl Inner {
    async fn read(&self, call: &Call, patience: Duration) -> Result<Answer, NovaError> {
        let since = system::Stopwatch::start();
        let mut pause = FIRST_PAUSE;
        let mut renewed = false;
        loop {
            let token = self.token().await?;
            let (error, wait) = match self.exchange(call, &token).await {
                Ok(response) if response.status == 401 && !renewed => {
                    renewed = true;
                    self.renew(&token).await?;
                    continue;
                }
                Ok(response) if (200..300).contains(&response.status) => {
                    return Ok(answer(response));
                }
                Ok(response) => {
                    let fault = Fault::read(response.status, &response.body);
                    let error = NovaError::Refused {
                        call: call.to_string(),
                        fault,
                    };
                    if !matches!(response.status, 429 | 502 | 503 | 504) {
                        return Err(error);
                    }
                    (error, retry_after(&response))
                }
                Err(Failed::TooLarge) => return Err(self.too_large(call)),
                Err(Failed::Unsent(Unsent::Untrusted(why))) => {
                    return Err(untrusted(&self.cloud, &self.endpoint, why));
                }
                Err(Failed::Unsent(source)) => {
                    let error = NovaError::Unreachable {
                        call: call.to_string(),
                        host: origin(&self.endpoint),
                        source,
                    };
                    (error, None)
                }
            };
            // Who says when to come back is not asked before, however impatient the reader.
            let patience = match wait {
                Some(_) => self.patience.read,
                None => patience,
            };
            let wait = wait.unwrap_or(pause).min(LONGEST_PAUSE * 4) + jitter();
            if since.elapsed() + wait > patience {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn write(&self, call: &Call, bound: Duration) -> Written {
        let since = system::Stopwatch::start();
        let mut pause = FIRST_PAUSE;
        let mut renewed = false;
        loop {
            let token = match self.token().await {
                Ok(token) => token,
                Err(error) => return Written::NotSent(error.to_string()),
            };
            // Logging in anew may have taken long, and this is asked before the first time, too.
            if since.elapsed() > bound {
                let seconds = bound.as_secs();
                return Written::NotSent(format!("it could not be sent within {seconds} s"));
            }
            match self.exchange(call, &token).await {
                // keystonemiddleware answers before Nova sees the request.
                Ok(response) if response.status == 401 && !renewed => {
                    renewed = true;
                    if let Err(error) = self.renew(&token).await {
                        return Written::NotSent(error.to_string());
                    }
                }
                Ok(response) if (200..300).contains(&response.status) => {
                    return Written::Accepted(answer(response));
                }
                Ok(response) => {
                    let fault = Fault::read(response.status, &response.body);
                    // A 5xx may come from a proxy that lost patience while Nova went on.
                    return if response.status >= 500 {
                        Written::Unknown {
                            why: format!("{call}: {fault}"),
                            // 504 is the proxy that does not wait any longer.
                            over: response.status != 504,
                        }
                    } else {
                        Written::Refused(fault)
                    };
                }
                Err(Failed::TooLarge) => {
                    let why = self.too_large(call).to_string();
                    return Written::Unknown { why, over: true };
                }
                Err(Failed::Unsent(Unsent::NoConnection(why))) => {
                    let wait = pause + jitter();
                    if since.elapsed() + wait > bound {
                        return Written::NotSent(why);
                    }
                    tokio::time::sleep(wait).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(Failed::Unsent(Unsent::Untrusted(why))) => {
                    return Written::NotSent(
                        untrusted(&self.cloud, &self.endpoint, why).to_string(),
                    );
                }
                Err(Failed::Unsent(Unsent::NoAnswer(why))) => {
                    return Written::Unknown {
                        why: format!("{call}: {why}"),
                        over: false,
                    };
                }
            }
        }
    }

    async fn exchange(&self, call: &Call, token: &Token) -> Result<Response, Failed> {
        let url = format!("{}{}", self.endpoint, call.path);
        let version = call.microversion.to_string();
        let headers = [
            ("accept", "application/json".to_owned()),
            ("x-auth-token", token.secret.reveal().to_owned()),
            ("openstack-api-version", format!("compute {version}")),
            ("x-openstack-nova-api-version", version),
        ];
        let body = call.body.as_ref().map(|body| body.to_string().into_bytes());
        let response = self
            .http
            .exchange(call.method, &url, &headers, body)
            .await?;
        if let Some(date) = response.header("date")
            && let Ok(date) = jiff::fmt::rfc2822::parse(date)
        {
            let ahead = date.timestamp().as_second() - system::now().as_second();
            self.ahead.store(ahead, Ordering::Relaxed);
        }
        Ok(response)
    }

    /// A token that is good for some time.
    async fn token(&self) -> Result<Token, NovaError> {
        let mut token = self.token.lock().await;
        let left = token.expires.as_second() - system::now().as_second();
        // This machine's clock may be wrong: a token that only seems to end is still tried, see the 401s.
        if (0..RENEW_BEFORE_SECONDS).contains(&left)
            && let Ok(fresh) = log_in(&self.http, &self.cloud, &self.patience).await
        {
            *token = fresh;
        }
        Ok(token.clone())
    }

    /// Replaces a token that was refused, unless somebody else has done so meanwhile.
    async fn renew(&self, refused: &Token) -> Result<(), NovaError> {
        let mut token = self.token.lock().await;
        if token.secret == refused.secret {
            *token = log_in(&self.http, &self.cloud, &self.patience).await?;
        }
        Ok(())
    }

    fn too_large(&self, call: &Call) -> NovaError {
        NovaError::TooLarge {
            call: call.to_string(),
            limit: LARGEST,
        }
    }
}

fn answer(response: Response) -> Answer {
    let id = response
        .header("x-openstack-request-id")
        .or_else(|| response.header("x-compute-request-id"))
        .map(str::to_owned);
    Answer::new(response.status, id.as_deref(), response.body)
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.header("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Up to half a second, so that many do not come back together.
fn jitter() -> Duration {
    Duration::from_millis(system::random_seed() % 500)
}

/// Asks Keystone for a token, again while it is away: a login changes nothing.
async fn log_in(http: &Http, cloud: &Cloud, patience: &Patience) -> Result<Token, NovaError> {
    let url = token_url(&cloud.auth_url);
    let body = token_request(cloud).to_string().into_bytes();
    let headers = [("accept", "application/json".to_owned())];
    let since = system::Stopwatch::start();
    let mut pause = FIRST_PAUSE;
    loop {
        let exchange = http.exchange(Method::Post, &url, &headers, Some(body.clone()));
        let error = match exchange.await {
            Ok(response) if (200..300).contains(&response.status) => {
                let subject = response.header("x-subject-token").map(str::to_owned);
                return Ok(read_token(subject.as_deref(), &response.body)?);
            }
            Ok(response) => {
                let fault = Fault::read(response.status, &response.body);
                if !matches!(fault.status, 429 | 502 | 503 | 504) {
                    return Err(NovaError::Login(fault));
                }
                NovaError::Login(fault)
            }
            Err(Failed::TooLarge) => {
                return Err(NovaError::TooLarge {
                    call: "POST /v3/auth/tokens".to_owned(),
                    limit: LARGEST,
                });
            }
            Err(Failed::Unsent(Unsent::Untrusted(why))) => {
                return Err(untrusted(cloud, &url, why));
            }
            Err(Failed::Unsent(source)) => NovaError::Unreachable {
                call: "POST /v3/auth/tokens".to_owned(),
                host: origin(&url),
                source,
            },
        };
        let wait = pause + jitter();
        // Whoever starts a command with a wrong address should not wait two minutes to learn it.
        if since.elapsed() + wait > patience.read.min(Duration::from_secs(20)) {
            return Err(error);
        }
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A certificate that is not trusted does not become so by asking again.
fn untrusted(cloud: &Cloud, url: &str, why: Distrust) -> NovaError {
    let authority = cloud.ca_file.as_ref().map_or_else(
        || "the authorities of this machine".to_owned(),
        |file| format!("the CA file `{file}`"),
    );
    NovaError::Untrusted {
        host: origin(url),
        authority,
        why,
    }
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let host = rest.split('/').next().unwrap_or_default();
    // A password in an address is nobody's business.
    let host = host.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}")
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;
    use crate::openstack::cloud::{Credentials, Interface, Named, Scope};
    use crate::openstack::{Method, Secret};

    /// A Keystone and a Nova that answer a login, the question for versions and these, and then are gone.
    pub(in crate::nova) async fn opened(more: Vec<String>) -> Session {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let token = format!(
            r#"{{"token": {{"expires_at": "2126-11-25T19:00:00Z", "user": {{"name": "o"}}, "roles": [], "catalog": [
                {{"type": "compute", "endpoints": [{{"interface": "public", "region": "r", "url": "http://{address}/v2.1"}}]}}]}}}}"#
        );
        let versions =
            r#"{"version": {"id": "v2.1", "min_version": "2.1", "version": "2.96"}}"#.to_owned();
        let ends_now = more.is_empty();
        let serving = std::thread::spawn(move || {
            for body in [token, versions].into_iter().chain(more) {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = [0; 8_192];
                let _ = stream.read(&mut asked).unwrap();
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nx-subject-token: t\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                )
                .unwrap();
            }
        });
        let cloud = Cloud {
            auth_url: format!("http://{address}/v3"),
            credentials: Credentials::Password {
                user: Named::Id("o".to_owned()),
                password: Secret::new("p"),
            },
            scope: Scope::Own,
            region: None,
            interface: Interface::Public,
            compute_endpoint: None,
            ca_file: None,
        };
        let patience = Patience::default();
        let http = Http::new(None, &patience).unwrap();
        let session = Session::open(cloud, http, patience).await.unwrap();
        if ends_now {
            // Else a connection could still be taken, and be cut off.
            serving.join().unwrap();
        }
        session
    }

    #[tokio::test]
    async fn who_is_impatient_learns_soon_that_nobody_answers() {
        let session = opened(Vec::new())
            .await
            .impatient(Duration::from_millis(300));
        let since = system::Stopwatch::start();
        let call = Call::get("/servers", Microversion(90));
        let error = session.read(&call).await.unwrap_err();
        assert!(error.may_pass(), "{error}");
        assert!(since.elapsed() < Duration::from_secs(30), "not after 120 s");
    }

    #[tokio::test]
    async fn nothing_is_sent_after_its_time_also_when_nova_comes_back_later() {
        let session = opened(Vec::new()).await;
        let call = Call::write(
            Method::Post,
            "/servers/x/action".to_owned(),
            Microversion(90),
            serde_json::json!({"migrate": null}),
        );
        let since = system::Stopwatch::start();
        let bound = Duration::from_millis(300);
        let written = session.write_within(&call, bound).await;
        assert!(matches!(written, Written::NotSent(_)), "{written:?}");
        assert!(
            since.elapsed() < Duration::from_secs(30),
            "not for as long as a read"
        );
        let written = session.write_within(&call, Duration::ZERO).await;
        assert!(matches!(written, Written::NotSent(_)), "{written:?}");
    }
}
