//! Data with methods and functions of its own, as notification templates need: Alertmanager's shapes are expressible.

use std::sync::Arc;

use crate::model::{Labels, Timestamp};
use crate::template::functions::{Body, Function, GO, Kind};
use crate::template::{Dialect, Environment, Object, RenderLimits, Template, Value};

/// A map with methods beside its keys.
#[derive(Debug)]
struct Pairs(Labels);

impl Object for Pairs {
    fn type_name(&self) -> &str {
        "template.KV"
    }

    fn field(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        match (name, args) {
            ("Names", []) => Some(Ok(self.0.iter().map(|(n, _)| n.into()).collect::<Vec<Value>>().into())),
            ("Without", [Value::Str(gone)]) => {
                Some(Ok(Value::Object(Arc::new(Self(self.0.filtered(|name| *name != **gone))))))
            }
            ("Without", _) => Some(Err("needs one name".to_owned())),
            _ => None,
        }
    }

    fn underlying(&self) -> Value {
        Value::Labels(self.0.clone())
    }
}

/// A list with methods.
#[derive(Debug)]
struct Alerts(Vec<Value>);

impl Object for Alerts {
    fn type_name(&self) -> &str {
        "template.Alerts"
    }

    fn field(&self, name: &str, _: &[Value]) -> Option<Result<Value, String>> {
        (name == "Firing").then(|| Ok(self.0.iter().take(1).cloned().collect::<Vec<_>>().into()))
    }

    fn underlying(&self) -> Value {
        self.0.clone().into()
    }
}

static JOIN: &[Function] = &[Function {
    name: "join",
    params: &[Kind::Str, Kind::Any],
    rest: None,
    body: Body::Plain(|host, args| {
        let (Some(Value::Str(between)), Some(Value::List(items))) = (args.first(), args.get(1)) else {
            return Err("needs a list".to_owned());
        };
        let texts = items.iter().filter_map(|v| if let Value::Str(s) = v { Some(&**s) } else { None });
        host.text(texts.collect::<Vec<_>>().join(between))
    }),
}];

static NOTICES: Dialect = Dialect { tables: &[GO, JOIN], variables: &[], fields: &[], labels: None };

fn check(cases: &[(&str, &str)]) {
    let pairs = |job: &str| Labels::from_pairs([("alertname", "Down"), ("job", job)]);
    let alert = |job: &str| {
        let labels = Value::Object(Arc::new(Pairs(pairs(job))));
        let entries = [("Labels", labels), ("StartsAt", Value::Time(Timestamp(90_000)))];
        Value::Map(Arc::new(crate::template::Map::new(entries.map(|(k, v)| (k.into(), v)).into_iter().collect())))
    };
    let data = [
        ("Status", "firing".into()),
        ("Alerts", Value::Object(Arc::new(Alerts(vec![alert("a"), alert("b")])))),
        ("CommonLabels", Value::Object(Arc::new(Pairs(pairs("all"))))),
    ];
    let data = Value::Map(Arc::new(crate::template::Map::new(data.map(|(k, v)| (k.into(), v)).into_iter().collect())));
    for (text, expected) in cases {
        let template = Template::parse_as(text, &NOTICES).unwrap();
        let environment = Environment { external_url: "", now: Timestamp(0), query: None };
        let got = template.render_with(vec![data.clone()], environment, &RenderLimits::default());
        assert_eq!(got.unwrap_or_else(|e| format!("!{}", e.message)), *expected, "{text}");
    }
}

#[test]
fn objects_have_fields_methods_and_an_underlying_value() {
    check(&[
        ("[{{ .Status }}:{{ .Alerts.Firing | len }}/{{ len .Alerts }}]", "[firing:1/2]"),
        (
            "{{ range .Alerts }}{{ .Labels.job }}@{{ .StartsAt.Format \"15:04:05\" }} {{ end }}",
            "a@00:01:30 b@00:01:30 ",
        ),
        ("{{ .CommonLabels }}", "map[alertname:Down job:all]"),
        ("{{ range $k, $v := .CommonLabels.Without \"job\" }}{{ $k }}={{ $v }}{{ end }}", "alertname=Down"),
        ("{{ .CommonLabels.Names | join \", \" }}", "alertname, job"),
        ("{{ (.CommonLabels.Without \"job\").job }}|{{ index .CommonLabels \"job\" }}", "|all"),
        ("{{ .CommonLabels.Without }}", "!error calling Without: needs one name"),
        ("{{ .Alerts.Nope }}", "!can't evaluate field Nope in type template.Alerts"),
        ("{{ with .Missing }}a{{ else }}b{{ end }}{{ .Missing }}", "b<no value>"),
        ("{{ if eq .Status \"firing\" }}{{ with index .Alerts 1 }}{{ .Labels.job }}{{ end }}{{ end }}", "b"),
    ]);
}
