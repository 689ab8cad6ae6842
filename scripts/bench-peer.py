#!/usr/bin/env python3
"""Evaluates the same 1,000 alerting rules over 100 series each with prometheus and with alertd, and prints how long an
evaluation of all of them takes, the processor time and the resident memory of each.

Both scrape one page of 100,000 gauges every 15 s from this script; the rules are `metric_<n> > 101`, of which none
fires, for prometheus in ten groups. Its duration of a rule holds query and alert state, alertd's the query and the
comparison; the processor time is that of the whole process, scraping included, for both. Needs scripts/debian-packages.sh and a release build; takes five minutes.
Ports 19191 to 19193 must be free."""

import http.server
import os
import pathlib
import random
import re
import subprocess
import tempfile
import threading
import time
import urllib.request

SERIES, METRICS = 100, 1000
PAGE, PROMETHEUS, ALERTD = 19191, 19192, 19193
WARM_S, MEASURED_S = 60, 90
ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def page():
    rows = []
    for m in range(METRICS):
        rows.append(f"# TYPE metric_{m} gauge\n")
        for i in range(SERIES):
            labels = f'namespace="team-{i % 20}",pod="service-{i % 50}-5d8f7c6b9d-{i:05}",container="main"'
            rows.append(f"metric_{m}{{{labels}}} {random.randint(0, 10000) / 100}\n")
    return "".join(rows).encode()


PAGES = [page() for _ in range(4)]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = PAGES[int(time.time() / 15) % len(PAGES)]
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def get(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return answer.read().decode()


def total(text, name):
    return sum(float(v) for v in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.M))


def processor_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def measure(name, command, port, seconds, count):
    """`seconds` and `count`: names of the totals of evaluation time and of evaluated rules."""
    with open(os.devnull, "w") as nowhere:
        process = subprocess.Popen(command, stdout=nowhere, stderr=nowhere)
    try:
        time.sleep(WARM_S)
        before, spent = get(port), processor_s(process.pid)
        time.sleep(MEASURED_S)
        after, spent = get(port), processor_s(process.pid) - spent
        rules = total(after, count) - total(before, count)
        each = (total(after, seconds) - total(before, seconds)) / rules
        memory = resident_mib(process.pid)
        print(f"{name:12} {each * 1e6:8.1f} µs a rule, {each * METRICS * 1e3:8.1f} ms for all; "
              f"{rules:.0f} evaluations; {spent / MEASURED_S * 100:5.1f} % of a core in all; {memory:6.0f} MiB resident",
              flush=True)
    finally:
        process.terminate()
        process.wait()


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", PAGE), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        groups = []
        for g in range(10):
            rules = "".join(f"      - {{alert: r{i}, expr: metric_{i} > 101}}\n" for i in range(g * 100, g * 100 + 100))
            groups.append(f"  - name: g{g}\n    interval: 15s\n    rules:\n{rules}")
        (work / "rules.yml").write_text("groups:\n" + "".join(groups))
        scrape = f"scrape_configs: [{{job_name: page, scrape_interval: 15s, static_configs: [{{targets: ['127.0.0.1:{PAGE}']}}]}}]\n"
        native = "".join(f"  - {{name: r{i}, expr: metric_{i} > 101, every: 15s}}\n" for i in range(METRICS))
        (work / "rules.yaml").write_text(f"rules:\n{native}")
        (work / "prometheus.yml").write_text(f"global: {{evaluation_interval: 15s}}\nrule_files: [rules.yml]\n{scrape}")
        (work / "alertd.yaml").write_text(f"{scrape}host_metrics: {{enabled: false}}\n")
        alertd = os.environ.get("ALERTD", TARGET / "release/alertd")
        measure("alertd", [alertd, "--config", work / "alertd.yaml", "--data-dir", work / "data",
                "--listen", f"127.0.0.1:{ALERTD}", work / "rules.yaml"], ALERTD,
                "alertd_evaluation_duration_seconds_sum", "alertd_evaluation_duration_seconds_count")
        measure("prometheus", [TARGET / "peers/usr/bin/prometheus", f"--config.file={work}/prometheus.yml",
                f"--storage.tsdb.path={work}/tsdb", f"--web.listen-address=127.0.0.1:{PROMETHEUS}"], PROMETHEUS,
                "prometheus_rule_evaluation_duration_seconds_sum", "prometheus_rule_evaluation_duration_seconds_count")


if __name__ == "__main__":
    main()
