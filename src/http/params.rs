//! Parameters of the query API, from the URL and from a form body, as Prometheus reads them.

use std::time::Duration;

use axum::http::Uri;
use url::form_urlencoded;

use super::api::{InstantQuery, RangeQuery, SeriesQuery};
use super::error::ApiError;
use crate::model::{Timestamp, parse_duration};

/// Most steps of a range query, as in Prometheus.
pub const POINTS_MAX: u64 = 11_000;
/// Longest time a query may ask for.
pub const QUERY_TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// Most parameters.
const PARAMS_MAX: usize = 1000;

/// Decoded parameters in order.
#[derive(Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Those of the body (`application/x-www-form-urlencoded`), then those of the URL.
    pub fn new(uri: &Uri, form: &str) -> Result<Self, ApiError> {
        let texts = [form, uri.query().unwrap_or_default()];
        let pairs = texts.into_iter().flat_map(|text| form_urlencoded::parse(text.as_bytes()));
        let all: Vec<_> =
            pairs.take(PARAMS_MAX + 1).map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        if all.len() > PARAMS_MAX {
            return Err(ApiError::bad(format!("more than {PARAMS_MAX} parameters")));
        }
        Ok(Self(all))
    }

    /// The first of that name that is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// All of that name.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone()).collect()
    }

    /// The query, or another parameter that must be there.
    pub fn required(&self, name: &str) -> Result<&str, ApiError> {
        let missing = match name {
            "query" => "unknown position: parse error: no expression found in input".to_owned(),
            "start" | "end" => "cannot parse \"\" to a valid timestamp".to_owned(),
            "step" => "cannot parse \"\" to a valid duration".to_owned(),
            _ => "it is missing".to_owned(),
        };
        self.get(name).ok_or_else(|| invalid(name, &missing))
    }

    fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        let read = |text: &str| {
            Timestamp::parse(text).ok_or_else(|| invalid(name, &format!("cannot parse {text:?} to a valid timestamp")))
        };
        self.get(name).map(read).transpose()
    }

    /// A time, or an age such as `-1h` (`-90` are seconds).
    pub fn moment(&self, name: &str, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
        let read = |text: &str| {
            let at = match text.strip_prefix('-') {
                Some(age) => span(age).map(|age| now.minus(age)),
                None => Timestamp::parse(text),
            };
            at.ok_or_else(|| wrong(name, text, "is neither a time nor an age such as -1h"))
        };
        self.get(name).map(read).transpose()
    }

    /// `true` or `false`.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, ApiError> {
        let read = |text: &str| text.parse().map_err(|_| wrong(name, text, "is neither true nor false"));
        self.get(name).map_or(Ok(default), read)
    }

    fn span(&self, name: &str) -> Result<Option<Duration>, ApiError> {
        let read =
            |text: &str| span(text).ok_or_else(|| invalid(name, &format!("cannot parse {text:?} to a valid duration")));
        self.get(name).map(read).transpose()
    }

    /// Most entries; 0 where nothing is given.
    pub fn limit(&self) -> Result<usize, ApiError> {
        self.get("limit").map_or(Ok(0), |text| text.parse().map_err(|_| wrong("limit", text, "is no count")))
    }

    /// A count, where it is given.
    pub fn count(&self, name: &str) -> Result<Option<usize>, ApiError> {
        self.get(name).map(|text| text.parse().map_err(|_| invalid(name, &format!("{text:?} is no count")))).transpose()
    }

    fn timeout(&self) -> Result<Duration, ApiError> {
        Ok(self.span("timeout")?.unwrap_or(QUERY_TIMEOUT_MAX).min(QUERY_TIMEOUT_MAX))
    }

    /// `/api/v1/query`
    pub fn instant(&self, now: Timestamp) -> Result<InstantQuery, ApiError> {
        Ok(InstantQuery {
            query: self.required("query")?.to_owned(),
            time: self.time("time")?.unwrap_or(now),
            timeout: self.timeout()?,
            limit: self.limit()?,
            lookback: self.span("lookback_delta")?.filter(|lookback| !lookback.is_zero()),
            stats: self.get("stats").is_some(),
        })
    }

    /// `/api/v1/query_range`
    pub fn range(&self) -> Result<RangeQuery, ApiError> {
        let required = |name: &str| self.required(name);
        required("start").and(required("end")).and(required("step"))?;
        let (start, end) = (self.time("start")?.unwrap_or_default(), self.time("end")?.unwrap_or_default());
        let step = self.span("step")?.unwrap_or_default();
        if end < start {
            return Err(invalid("end", "end timestamp must not be before start time"));
        }
        if step.as_millis() == 0 {
            let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
            return Err(invalid("step", why));
        }
        if end.since(start).as_millis() / step.as_millis() > u128::from(POINTS_MAX) {
            // In Prometheus's words, which clients look for.
            let message = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query \
                           resolution (?step=XX)";
            return Err(ApiError::bad(message));
        }
        let query = required("query")?.to_owned();
        let lookback = self.span("lookback_delta")?.filter(|lookback| !lookback.is_zero());
        let (timeout, limit, stats) = (self.timeout()?, self.limit()?, self.get("stats").is_some());
        Ok(RangeQuery { query, start, end, step, timeout, limit, lookback, stats })
    }

    /// `/api/v1/series`, `/labels`, `/label/…/values`
    pub fn series(&self) -> Result<SeriesQuery, ApiError> {
        Ok(SeriesQuery {
            selectors: self.all("match[]"),
            start: self.time("start")?.unwrap_or(Timestamp(i64::MIN)),
            end: self.time("end")?.unwrap_or(Timestamp(i64::MAX)),
            limit: self.limit()?,
        })
    }
}

/// What `/api/v1/rules` is asked for.
#[derive(Debug, Default)]
pub struct RuleFilter {
    /// Alerting rules, or recording rules (`true`), alone.
    pub recording: Option<bool>,
    /// `rule_name[]`
    pub names: Vec<String>,
    /// `rule_group[]`
    pub groups: Vec<String>,
    /// `file[]`
    pub files: Vec<String>,
    /// `match[]`
    pub selectors: Vec<String>,
    /// Whether alerts are left out.
    pub bare: bool,
    /// Most groups of the answer, and where it begins.
    pub page: Option<(usize, Option<String>)>,
}

impl RuleFilter {
    /// Reads the parameters; wrong ones are told in Prometheus's words.
    pub fn new(params: &Params) -> Result<Self, ApiError> {
        let recording = match params.get("type") {
            None => None,
            Some("alert") => Some(false),
            Some("record") => Some(true),
            Some(other) => return Err(invalid("type", &format!("not supported value {other:?}"))),
        };
        let bare = match params.get("exclude_alerts") {
            None => false,
            // As Go reads a boolean.
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => true,
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => false,
            Some(_) => return Err(ApiError::bad("error converting exclude_alerts: invalid syntax")),
        };
        let token = params.get("group_next_token").map(str::to_owned);
        let page = match (params.get("group_limit"), token) {
            (None, None) => None,
            (None, Some(_)) => {
                let why = "group_limit needs to be set in order to paginate over the groups";
                return Err(invalid("group_next_token", why));
            }
            (Some(text), token) => match text.parse::<usize>() {
                Ok(limit) if limit > 0 => Some((limit, token)),
                _ => return Err(invalid("group_limit", "group_limit needs to be a valid number")),
            },
        };
        Ok(Self {
            recording,
            names: params.all("rule_name[]"),
            groups: params.all("rule_group[]"),
            files: params.all("file[]"),
            selectors: params.all("match[]"),
            bare,
            page,
        })
    }

    /// Whether rules may be left out, and with them groups that have none left.
    pub fn picks(&self) -> bool {
        self.recording.is_some() || !self.names.is_empty() || !self.selectors.is_empty()
    }
}

/// The name behind `U__…`, in which clients write names that are not made of letters, digits and underscores; what is no
/// such name stays as it is.
pub fn unescaped_name(name: &str) -> String {
    let decode = || {
        let mut rest = name.strip_prefix("U__")?;
        let mut out = String::new();
        while let Some(at) = rest.find('_') {
            out.push_str(&rest[..at]);
            let (code, after) = rest[at + 1..].split_once('_')?;
            out.push(match code {
                "" => '_',
                code => char::from_u32(u32::from_str_radix(code, 16).ok()?)?,
            });
            rest = after;
        }
        Some(out + rest)
    };
    decode().unwrap_or_else(|| name.to_owned())
}

/// Seconds or a Prometheus duration.
fn span(text: &str) -> Option<Duration> {
    let seconds = text.parse::<f64>().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
    seconds.or_else(|| parse_duration(text).ok())
}

/// A parameter that cannot be used, in Prometheus's words.
pub fn invalid(name: &str, why: &str) -> ApiError {
    ApiError::bad(format!("invalid parameter {name:?}: {why}"))
}

fn wrong(name: &str, text: &str, what: &str) -> ApiError {
    ApiError::bad(format!("parameter {name:?} {what}: {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str, form: &str) -> Params {
        Params::new(&format!("/x?{query}").parse().unwrap(), form).unwrap()
    }

    #[test]
    fn queries_are_read_from_the_url_and_from_a_form() {
        let got =
            params("time=12.5&query=ignored", "query=sum%28up%29+%2B+1&timeout=5s").instant(Timestamp(0)).unwrap();
        assert_eq!(
            (got.query.as_str(), got.time, got.timeout),
            ("sum(up) + 1", Timestamp(12_500), Duration::from_secs(5))
        );
        let got = params("query=up", "").instant(Timestamp(7)).unwrap();
        assert_eq!((got.time, got.timeout), (Timestamp(7), QUERY_TIMEOUT_MAX));
        let got = params("query=up&start=1699999999&end=2023-11-14T22:13:20Z&step=1d", "").range().unwrap();
        assert_eq!((got.end, got.step), (Timestamp(1_700_000_000_000), Duration::from_secs(86_400)));
        let got = params("match[]=up&match%5B%5D=%7Ba%3D%22b%22%7D", "").series().unwrap();
        assert_eq!(got.selectors, ["up", r#"{a="b"}"#]);
    }

    #[test]
    fn wrong_parameters_are_named() {
        let range = |query: &str| params(query, "").range().unwrap_err().message;
        for (query, want) in [
            ("query=up&start=0&end=1", "invalid parameter \"step\": cannot parse \"\" to a valid duration"),
            ("query=up&start=x&end=1&step=1", "invalid parameter \"start\": cannot parse \"x\" to a valid timestamp"),
            ("query=up&start=2&end=1&step=1", "invalid parameter \"end\": end timestamp must not be before start time"),
            (
                "query=up&start=0&end=1&step=0",
                "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a \
                 positive integer",
            ),
            ("query=up&start=0&end=1&step=-1", "invalid parameter \"step\": cannot parse \"-1\" to a valid duration"),
            (
                "start=0&end=1&step=1",
                "invalid parameter \"query\": unknown position: parse error: no expression found in input",
            ),
            ("query=up&start=0&end=1&step=1&limit=x", "parameter \"limit\" is no count: \"x\""),
        ] {
            assert_eq!(range(query), want);
        }
        assert!(range("query=up&start=0&end=11001&step=1").starts_with("exceeded maximum resolution of 11,000 points"));
        assert!(params("query=up&start=0&end=11000&step=1", "").range().is_ok());
        assert!(Params::new(&"/x".parse().unwrap(), &"a=1&".repeat(2000)).is_err());
    }

    #[test]
    fn a_form_is_read_as_browsers_and_curl_write_it() {
        let long = "1+".repeat(100_000);
        for (form, want) in [
            ("query=up{job=\"a b\"} > 1", "up{job=\"a b\"} > 1"),
            ("query=up # not a fragment", "up # not a fragment"),
            ("query=a+%2B+b?", "a + b?"),
            ("&query=fr\u{fc}h&", "fr\u{fc}h"),
            ("query=100%", "100%"),
            (&format!("query={long}"), &long.replace('+', " ")),
        ] {
            assert_eq!(params("", form).get("query"), Some(want));
        }
    }

    #[test]
    fn names_that_clients_write_escaped_are_read_back() {
        for (written, name) in [
            ("job", "job"),
            ("U__http_2e_status", "http.status"),
            ("U__a__b", "a_b"),
            ("U__f_fc_r", "f\u{fc}r"),
            ("U__a_zz_b", "U__a_zz_b"),
            ("U__open_2e", "U__open_2e"),
        ] {
            assert_eq!(unescaped_name(written), name);
        }
    }

    #[test]
    fn what_rules_are_asked_for_is_read_as_prometheus_reads_it() {
        let filter = |query: &str| RuleFilter::new(&params(query, ""));
        for (query, want) in [
            ("type=x", "invalid parameter \"type\": not supported value \"x\""),
            ("exclude_alerts=maybe", "error converting exclude_alerts: invalid syntax"),
            ("group_limit=0", "invalid parameter \"group_limit\": group_limit needs to be a valid number"),
            (
                "group_next_token=a",
                "invalid parameter \"group_next_token\": group_limit needs to be set in order to paginate over the groups",
            ),
        ] {
            assert_eq!(filter(query).unwrap_err().message, want);
        }
        let got = filter("type=record&file[]=a&file[]=b&exclude_alerts=1&group_limit=2&group_next_token=t").unwrap();
        assert_eq!((got.recording, got.bare, got.files.len()), (Some(true), true, 2));
        assert_eq!(got.page, Some((2, Some("t".to_owned()))));
        assert!(got.picks() && !filter("file[]=a").unwrap().picks());
    }
}
