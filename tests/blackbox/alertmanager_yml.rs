//! An `alertmanager.yml` as it is: the real binary routes by it, and a receiver of webhooks, one of Slack and a mail server
//! get what Alertmanager would send them, worded by its templates.

use std::time::Duration;

use serde_json::Value;

use crate::kit::{Daemon, Folder, command, free_port, run, until};
use crate::smtp_server::SmtpServer;
use crate::webhook::{Seen, receiver};

const RULES: &str = r#"
defaults: {every: 1s}
rules:
  - {name: queue_long, severity: critical, metric: queue.length, threshold: "> 10", labels: {team: web, service: api}, annotations: {summary: "Queue of {{ $labels.host }} is <long>"}}
  - {name: disk_full, severity: warning, metric: disk.used, threshold: "> 90", labels: {team: db}}
  - {name: noise, severity: info, metric: queue.length, threshold: "> 1", labels: {severity_class: none}}
"#;

const TEMPLATES: &str = r#"{{ define "mine.title" }}{{ .Status | toUpper }} {{ .GroupLabels.alertname }}{{ end }}
{{ define "mine.text" }}{{ range .Alerts }}{{ .Annotations.summary }} since {{ .StartsAt.Format "2006" }}{{ end }}{{ end }}"#;

fn file(address: &str, mail: &str) -> String {
    format!(
        r#"
global:
  smtp_smarthost: {mail}
  smtp_from: alerts@example.org
  smtp_require_tls: false
  slack_api_url: http://{address}/slack
templates: [templates/*.tmpl]
route:
  receiver: nobody
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  routes:
    - matchers: [team="web"]
      receiver: web
      routes:
        - {{match: {{service: api}}, receiver: api, continue: true}}
        - {{match_re: {{service: "a.*"}}, receiver: mails}}
    - {{matchers: [team="db"], receiver: db}}
receivers:
  - name: nobody
  - name: web
    webhook_configs: [{{url: 'http://{address}/never'}}]
  - name: api
    slack_configs:
      - channel: '#{{{{ .CommonLabels.team }}}}'
        title: '{{{{ template "mine.title" . }}}}'
        text: '{{{{ template "mine.text" . }}}}'
        fields: [{{title: Host, value: '{{{{ .CommonLabels.host }}}}'}}]
        send_resolved: true
    webhook_configs:
      - {{url: 'http://{address}/hook', http_config: {{authorization: {{credentials: CANARY-token}}}}}}
  - name: mails
    email_configs:
      - to: '{{{{ .CommonLabels.host }}}}@example.org'
        headers: {{Subject: '{{{{ template "mine.title" . }}}}'}}
        html: '<b>{{{{ range .Alerts }}}}{{{{ .Annotations.summary }}}}{{{{ end }}}}</b>'
  - name: db
    webhook_configs: [{{url: 'http://{address}/payload', payload: {{text: '{{{{ .Status }}}}', firing: '{{{{ .Alerts.Firing | len }}}}'}}}}]
"#
    )
}

/// The bodies that came to a path.
fn at(seen: &Seen, path: &str) -> Vec<Value> {
    let all = seen.lock().unwrap().clone();
    let fits = all.into_iter().filter(|(head, _)| head.split(' ').nth(1) == Some(path));
    fits.map(|(_, body)| serde_json::from_str(&body).unwrap()).collect()
}

#[test]
fn an_alertmanager_yml_with_nested_routes_and_templates_sends_what_alertmanager_sends() {
    let (address, seen) = receiver(&[200]);
    let mail = SmtpServer::plain();
    let folder = Folder::with(&[("rules/a.yaml", RULES), ("templates/mine.tmpl", TEMPLATES)]);
    folder.write("alertmanager.yml", file(&address, &format!("127.0.0.1:{}", mail.port())));
    folder.write("alertd.yaml", "handler_files: [alertmanager.yml]\n");
    run(&folder, &["check", "alertmanager.yml"]).exits(0);
    let port = free_port();
    let daemon = Daemon::launch(&mut command(&folder), port);
    daemon.wait_ready();
    daemon.push("{\"queue.length\",host=\"a\"} 50\n{\"disk.used\",host=\"d\"} 95\n");

    let slack = until("Slack is told", || at(&seen, "/slack").into_iter().next());
    let attachment = &slack["attachments"][0];
    assert_eq!((&slack["channel"], &slack["username"]), (&"#web".into(), &"Alertmanager".into()));
    assert_eq!((&attachment["title"], &attachment["color"]), (&"FIRING queue_long".into(), &"danger".into()));
    assert!(attachment["text"].as_str().unwrap().starts_with("Queue of a is <long> since 20"), "{slack}");
    assert_eq!(attachment["fields"], serde_json::json!([{"title": "Host", "value": "a", "short": false}]));
    assert_eq!(attachment["mrkdwn_in"], serde_json::json!(["fallback", "pretext", "text"]));

    let hook = until("the webhook is told", || at(&seen, "/hook").into_iter().next());
    assert_eq!((&hook["version"], &hook["receiver"], &hook["status"]), (&"4".into(), &"api".into(), &"firing".into()));
    assert_eq!(hook["groupLabels"], serde_json::json!({"alertname": "queue_long"}));
    assert_eq!(hook["alerts"][0]["labels"]["host"], "a");
    assert_eq!(hook["groupKey"], r#"{}/{team="web"}/{service="api"}:{alertname="queue_long"}"#);
    let heads = seen.lock().unwrap().clone();
    assert!(heads.iter().any(|(head, _)| head.contains("authorization: Bearer CANARY-token")));

    let letter = until("the mail comes", || mail.mails().into_iter().next());
    assert_eq!(letter.to, ["a@example.org"]);
    assert_eq!(letter.header("Subject").unwrap(), "FIRING queue_long");
    assert!(letter.text().contains("<b>Queue of a is &lt;long&gt;</b>"), "{}", letter.text());

    let payload = until("the own payload comes", || at(&seen, "/payload").into_iter().next());
    assert_eq!(payload, serde_json::json!({"text": "firing", "firing": 1}));

    daemon.push("{\"queue.length\",host=\"a\"} 0\n");
    let over = until("its end is told", || at(&seen, "/slack").into_iter().nth(1));
    assert_eq!(over["attachments"][0]["title"], "RESOLVED queue_long");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(mail.mails().len(), 1, "mails do not tell the end by themselves");
    assert!(at(&seen, "/never").is_empty());
    let (out, log) = daemon.stop();
    assert!(!out.join("\n").contains("CANARY-token") && !log.join("\n").contains("CANARY-token"), "{log:#?}");
}

#[test]
fn a_template_file_that_changes_words_the_next_message() {
    let (address, seen) = receiver(&[200]);
    let folder = Folder::with(&[("rules/a.yaml", RULES), ("templates/mine.tmpl", TEMPLATES)]);
    folder.write("alertmanager.yml", file(&address, "127.0.0.1:9"));
    folder.write("alertd.yaml", "handler_files: [alertmanager.yml]\n");
    let port = free_port();
    let daemon = Daemon::launch(&mut command(&folder), port);
    daemon.wait_ready();
    daemon.push("{\"queue.length\",host=\"a\"} 50\n");
    until("Slack is told", || at(&seen, "/slack").into_iter().next());
    folder.write("templates/mine.tmpl", TEMPLATES.replace("{{ .Status | toUpper }}", "CHANGED"));
    let mut hosts = 0;
    until("the change is read", || {
        hosts += 1;
        daemon.push(&format!("{{\"queue.length\",host=\"b{hosts}\"}} 50\n"));
        at(&seen, "/slack").into_iter().find(|body| body["attachments"][0]["title"] == "CHANGED queue_long")
    });
    daemon.stop();
}
