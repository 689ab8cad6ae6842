//! What is scraped: jobs, targets, and the sink that takes what they answer.
//!
//! Place in the flow: `config` fills [`ScrapeJob`], [`super::scrape_sd`] turns jobs into [`Target`]s,
//! [`super::scrape_loop`] asks them and hands the bytes to a [`ScrapeSink`]. Nothing here does I/O or parses metrics.
//! Names and defaults are those of Prometheus's `scrape_config`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;
use thiserror::Error;

use crate::model::{Labels, LabelsBuilder, Sample, Timestamp, parse_duration};

/// Default of [`ScrapeJob::body_size_limit`].
pub const BODY_BYTES_DEFAULT: u64 = 64 << 20;

/// How to prove who asks. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Authorization {
    /// `basic_auth`
    Basic {
        /// Name.
        username: String,
        /// Password.
        password: String,
    },
    /// `authorization`
    Scheme {
        /// First word of the header, such as `Bearer`.
        scheme: String,
        /// What follows.
        credentials: String,
    },
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { username, .. } => write!(f, "Basic({username:?}, <redacted>)"),
            Self::Scheme { scheme, .. } => write!(f, "{scheme}(<redacted>)"),
        }
    }
}

/// `tls_config`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Certificates to trust instead of the system's, PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// Trust any certificate.
    pub insecure_skip_verify: bool,
}

/// Targets with labels in common: an entry of `static_configs`, or of a `file_sd` file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetGroup {
    /// `host:port`, without scheme and path.
    pub targets: Vec<String>,
    /// Labels of all of them.
    pub labels: Labels,
}

/// One entry of `scrape_configs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrapeJob {
    /// `job_name`; becomes the label `job`.
    pub job_name: String,
    /// Time between two scrapes of a target.
    pub scrape_interval: Duration,
    /// Total time of one scrape, connecting and reading included; at most the interval.
    pub scrape_timeout: Duration,
    /// Path asked for.
    pub metrics_path: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Parameters of the URL.
    pub params: Vec<(String, String)>,
    /// For the sink: labels of the target's samples win over the target's own.
    pub honor_labels: bool,
    /// For the sink: time stamps of the samples are kept.
    pub honor_timestamps: bool,
    /// Largest answer in bytes, after decompression; larger ones fail.
    pub body_size_limit: u64,
    /// For the sink: most samples of one answer; 0 is no limit.
    pub sample_limit: u64,
    /// Whether redirects are followed: at most [`super::scrape_loop::REDIRECTS_MAX`], to the same host only, and never
    /// from https to http. (Prometheus follows to any host; a target must not be able to point the scraper, with its
    /// place in the network, at an address of its choice.)
    pub follow_redirects: bool,
    /// Credentials.
    pub authorization: Option<Authorization>,
    /// TLS.
    pub tls: TlsOptions,
    /// `static_configs`
    pub static_configs: Vec<TargetGroup>,
    /// `file_sd_configs`: paths, `*` and `?` allowed; looked at every few seconds.
    pub file_sd: Vec<String>,
}

impl ScrapeJob {
    /// A job with Prometheus's defaults.
    pub fn new(job_name: impl Into<String>) -> Self {
        Self {
            job_name: job_name.into(),
            scrape_interval: Duration::from_secs(60),
            scrape_timeout: Duration::from_secs(10),
            metrics_path: "/metrics".to_owned(),
            scheme: "http".to_owned(),
            params: Vec::new(),
            honor_labels: false,
            honor_timestamps: true,
            body_size_limit: BODY_BYTES_DEFAULT,
            sample_limit: 0,
            follow_redirects: true,
            authorization: None,
            tls: TlsOptions::default(),
            static_configs: Vec::new(),
            file_sd: Vec::new(),
        }
    }
}

/// One endpoint to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its job.
    pub job: Arc<ScrapeJob>,
    /// Labels of all its samples: `job`, `instance` and those of its group.
    pub labels: Labels,
    /// What is asked.
    pub url: Url,
    /// How often.
    pub interval: Duration,
    /// How long it may take.
    pub timeout: Duration,
}

/// Why an entry is no target.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TargetError {
    /// Not `host:port`.
    #[error("target {0:?} of job {1:?} is no host:port")]
    Address(String, String),
    /// Not http or https.
    #[error("scheme {0:?} of job {1:?} is neither http nor https")]
    Scheme(String, String),
    /// A label that sets a duration holds none.
    #[error("label {0} of target {1:?} is no duration: {2:?}")]
    Duration(&'static str, String, String),
}

impl Target {
    /// A target of a group. As in Prometheus, labels `__address__`, `__scheme__`, `__metrics_path__`, `__param_*`,
    /// `__scrape_interval__` and `__scrape_timeout__` override the job, and no label that begins with `__` stays.
    pub fn new(job: &Arc<ScrapeJob>, address: &str, labels: &Labels) -> Result<Self, TargetError> {
        let address = labels.get("__address__").unwrap_or(address);
        let scheme = labels.get("__scheme__").unwrap_or(&job.scheme);
        if !matches!(scheme, "http" | "https") {
            return Err(TargetError::Scheme(scheme.to_owned(), job.job_name.clone()));
        }
        // What stands before an @ may be a password.
        let shown = address.rsplit('@').next().unwrap_or_default();
        let wrong = || TargetError::Address(shown.to_owned(), job.job_name.clone());
        if address.is_empty() || address.contains(|c: char| c.is_whitespace() || "/?#@\\".contains(c)) {
            return Err(wrong());
        }
        let mut url = Url::parse(&format!("{scheme}://{address}")).map_err(|_| wrong())?;
        let path = labels.get("__metrics_path__").unwrap_or(&job.metrics_path);
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        url.set_path(path);
        url.set_query(query);
        let overrides = labels.iter().filter_map(|(n, v)| Some((n.strip_prefix("__param_")?, v)));
        let own = job.params.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let own = own.filter(|(n, _)| labels.get(&format!("__param_{n}")).is_none());
        for (name, value) in own.chain(overrides) {
            url.query_pairs_mut().append_pair(name, value);
        }
        let duration = |name: &'static str, default: Duration| match labels.get(name) {
            None => Ok(default),
            Some(text) => parse_duration(text)
                .ok()
                .filter(|d| !d.is_zero())
                .ok_or_else(|| TargetError::Duration(name, address.to_owned(), text.to_owned())),
        };
        let interval = duration("__scrape_interval__", job.scrape_interval)?.max(Duration::from_millis(10));
        let timeout = duration("__scrape_timeout__", job.scrape_timeout)?.min(interval);
        let mut builder = LabelsBuilder::default();
        builder.set("job", job.job_name.as_str()).set("instance", address);
        for (name, value) in labels.iter().filter(|(n, _)| !n.starts_with("__")) {
            builder.set(name, value);
        }
        Ok(Self { job: Arc::clone(job), labels: builder.build(), url, interval, timeout })
    }
}

/// What happened with a target.
#[derive(Clone, Debug)]
pub enum Scrape {
    /// It answered.
    Answered {
        /// The target.
        target: Arc<Target>,
        /// When the scrape was due: the time of its samples.
        at: Timestamp,
        /// How long it took.
        duration: Duration,
        /// What it said, decompressed.
        body: Bytes,
        /// In which format.
        content_type: Option<String>,
    },
    /// It did not answer, or not with metrics: its series fall silent.
    Failed {
        /// The target.
        target: Arc<Target>,
        /// When the scrape was due.
        at: Timestamp,
        /// How long it took.
        duration: Duration,
        /// What went wrong, for people; free of secrets.
        reason: String,
    },
    /// It is no longer a target: its series end.
    Ended {
        /// The target.
        target: Arc<Target>,
        /// When.
        at: Timestamp,
    },
}

/// Takes what targets answer. Called on threads that may block; calls for different targets come at the same time.
pub trait ScrapeSink: Send + Sync + 'static {
    /// Takes one scrape. The number is that of the samples in the answer (0 for other events); an error (garbage, more
    /// samples than allowed) makes the scrape a failed one, and the sink lets the target's series fall silent.
    fn take(&self, scrape: Scrape) -> Result<u64, String>;

    /// Says in words why there is no answer.
    fn explain(&self, error: &reqwest::Error, https: bool) -> String;

    /// Takes the samples about the scrape itself: `up`, `scrape_duration_seconds`, `scrape_samples_scraped`.
    fn report(&self, samples: Vec<Sample>);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, labels: &[(&str, &str)], want: Result<(&str, &str), &str>) {
        let mut job = ScrapeJob::new("app");
        job.params = vec![("module".into(), "a b".into())];
        let target = Target::new(&Arc::new(job), address, &Labels::from_pairs(labels.iter().copied()));
        let got = target.as_ref().map(|t| (t.url.to_string(), t.labels.to_string())).map_err(ToString::to_string);
        let want = want.map(|(a, b)| (a.to_owned(), b.to_owned())).map_err(str::to_owned);
        assert_eq!(got, want);
    }

    #[test]
    fn labels_override_the_job_and_hidden_ones_do_not_stay() {
        check(
            "h:1",
            &[("env", "prod")],
            Ok(("http://h:1/metrics?module=a+b", r#"{env="prod", instance="h:1", job="app"}"#)),
        );
        check(
            "h:1",
            &[("__scheme__", "https"), ("__metrics_path__", "/x?y=1"), ("__param_module", "z"), ("job", "other")],
            Ok(("https://h:1/x?y=1&module=z", r#"{instance="h:1", job="other"}"#)),
        );
        check("[::1]:9", &[], Ok(("http://[::1]:9/metrics?module=a+b", r#"{instance="[::1]:9", job="app"}"#)));
    }

    #[test]
    fn what_is_no_host_and_port_is_refused() {
        for bad in ["", "http://h:1", "h:1/path", "h:99999", "h h"] {
            check(bad, &[], Err(&format!("target {bad:?} of job \"app\" is no host:port")));
        }
        check("user:canary@h", &[], Err("target \"h\" of job \"app\" is no host:port"));
        check("h", &[("__scheme__", "file")], Err(r#"scheme "file" of job "app" is neither http nor https"#));
        let interval = [("__scrape_interval__", "soon")];
        check("h", &interval, Err(r#"label __scrape_interval__ of target "h" is no duration: "soon""#));
    }

    #[test]
    fn credentials_do_not_show_in_debug_output() {
        let mut job = ScrapeJob::new("app");
        job.authorization = Some(Authorization::Basic { username: "u".into(), password: "canary".into() });
        assert!(!format!("{job:?}").contains("canary"));
        assert!(
            !format!("{:?}", Authorization::Scheme { scheme: "Bearer".into(), credentials: "canary".into() })
                .contains("canary")
        );
    }
}
