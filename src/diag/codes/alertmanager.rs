//! A56x: files of Alertmanager.

use super::{Code, ExampleFile};

/// The codes of this family.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "A561",
        title: "a key of Alertmanager without an equal",
        explanation: "An `alertmanager.yml` is read as it is. What Alertmanager does and alertd does not is told, with what \
            will be different: the file can be used, and nothing in it is passed over in silence. Remove the key, or write \
            a handler of alertd's own where the difference matters.",
        file: ExampleFile::Handlers,
        bad: r#"route: {receiver: hook}
receivers:
  - name: hook
    webhook_configs:
      - url: http://127.0.0.1:9/hook
        http_config: {no_proxy: internal.example.org, proxy_url: 'http://proxy.example.org:3128'}
"#,
        good: r#"route: {receiver: hook}
receivers:
  - name: hook
    webhook_configs:
      - url: http://127.0.0.1:9/hook
"#,
    },
    Code {
        code: "A562",
        title: "a receiver of Alertmanager without an equal",
        explanation: "Nothing is sent for this integration: where the receiver has no other one, nobody is told of what is \
            routed to it. Many services take a webhook: write a handler with `preset: generic` and a `body` of its own, or a \
            preset, and name it in a route of a handler file of alertd's own.",
        file: ExampleFile::Handlers,
        bad: r#"route: {receiver: chat}
receivers:
  - name: chat
    wechat_configs: [{to_user: '@all'}]
"#,
        good: r#"route: {receiver: chat}
receivers:
  - name: chat
    webhook_configs: [{url: 'http://127.0.0.1:9/wechat-bridge'}]
"#,
    },
    Code {
        code: "A563",
        title: "a template of messages that fails",
        explanation: "A template file that cannot be read is an error, as for Alertmanager. A text of a receiver that cannot \
            be read, or that calls a template which nobody defines, is found by Alertmanager when a message is due, and the \
            message is lost; alertd tells it before, and sends a plain text in its place.",
        file: ExampleFile::Handlers,
        bad: r#"route: {receiver: chat}
receivers:
  - name: chat
    slack_configs:
      - api_url: https://hooks.slack.example/services/x
        title: '{{ template "slack.mine.title" . }}'
"#,
        good: r#"route: {receiver: chat}
receivers:
  - name: chat
    slack_configs:
      - api_url: https://hooks.slack.example/services/x
        title: '{{ template "slack.default.title" . }}'
"#,
    },
];
