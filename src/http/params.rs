//! Parameters of the query API, from the URL and from a form body, as Prometheus reads them.

use std::time::Duration;

use axum::extract::Query;
use axum::http::Uri;

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
        let mut all = Vec::new();
        for text in [form, uri.query().unwrap_or_default()] {
            let uri: Uri =
                format!("/?{text}").parse().map_err(|e| ApiError::bad(format!("cannot read parameters: {e}")))?;
            let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&uri)
                .map_err(|e| ApiError::bad(format!("cannot read parameters: {e}")))?;
            all.extend(pairs);
        }
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

    fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| ApiError::bad(format!("parameter {name:?} is missing")))
    }

    fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        let read = |text: &str| Timestamp::parse(text).ok_or_else(|| wrong(name, text, "is no time"));
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
        let read = |text: &str| span(text).ok_or_else(|| wrong(name, text, "is no duration"));
        self.get(name).map(read).transpose()
    }

    /// Most entries; 0 where nothing is given.
    pub fn limit(&self) -> Result<usize, ApiError> {
        self.get("limit").map_or(Ok(0), |text| text.parse().map_err(|_| wrong("limit", text, "is no count")))
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
        })
    }

    /// `/api/v1/query_range`
    pub fn range(&self) -> Result<RangeQuery, ApiError> {
        let required = |name: &str| self.required(name);
        required("start").and(required("end")).and(required("step"))?;
        let (start, end) = (self.time("start")?.unwrap_or_default(), self.time("end")?.unwrap_or_default());
        let step = self.span("step")?.unwrap_or_default();
        if end < start {
            return Err(ApiError::bad("parameter \"end\" lies before \"start\""));
        }
        if step.as_millis() == 0 {
            return Err(ApiError::bad("parameter \"step\" must be at least a millisecond"));
        }
        if end.since(start).as_millis() / step.as_millis() > u128::from(POINTS_MAX) {
            let message = format!(
                "exceeded maximum resolution of {POINTS_MAX} points per series; decrease the resolution (?step=XX)"
            );
            return Err(ApiError::bad(message));
        }
        let query = required("query")?.to_owned();
        Ok(RangeQuery { query, start, end, step, timeout: self.timeout()?, limit: self.limit()? })
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

/// Seconds or a Prometheus duration.
fn span(text: &str) -> Option<Duration> {
    let seconds = text.parse::<f64>().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
    seconds.or_else(|| parse_duration(text).ok())
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
            ("query=up&start=0&end=1", "parameter \"step\" is missing"),
            ("query=up&start=x&end=1&step=1", "parameter \"start\" is no time: \"x\""),
            ("query=up&start=2&end=1&step=1", "parameter \"end\" lies before \"start\""),
            ("query=up&start=0&end=1&step=0", "parameter \"step\" must be at least a millisecond"),
            ("query=up&start=0&end=1&step=-1", "parameter \"step\" is no duration: \"-1\""),
            ("start=0&end=1&step=1", "parameter \"query\" is missing"),
            ("query=up&start=0&end=1&step=1&limit=x", "parameter \"limit\" is no count: \"x\""),
        ] {
            assert_eq!(range(query), want);
        }
        assert!(range("query=up&start=0&end=11001&step=1").starts_with("exceeded maximum resolution of 11000 points"));
        assert!(params("query=up&start=0&end=11000&step=1", "").range().is_ok());
        assert!(Params::new(&"/x".parse().unwrap(), &"a=1&".repeat(2000)).is_err());
        assert!(Params::new(&"/x".parse().unwrap(), &"a".repeat(70_000)).is_err());
    }
}
