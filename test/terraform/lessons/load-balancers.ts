/** Load balancers and their certificates. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Lesson } from "./lesson.ts";
import type { TestServer } from "../../support/http.ts";
import { fileOf, keysBelow } from "./lesson.ts";

const left = async (server: TestServer) =>
  (await keysBelow(server, "/")).filter(
    (key) => /^\/(elb|elb-health|acm|ec2-public-address)\//.test(key) || /network-interface|address-in-use/.test(key),
  );
let before: readonly string[];
let directory: string | undefined;

export const loadBalancers: Lesson = {
  name: "load_balancers",
  services: ["ec2", "elbv2", "acm"],
  async configuration() {
    directory = await mkdtemp(join(tmpdir(), "gantry-certificate-"));
    const [key, certificate] = [join(directory, "key.pem"), join(directory, "cert.pem")];
    const names = ["-subj", "/CN=www.example.com", "-addext", "subjectAltName=DNS:www.example.com"];
    const made = ["-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "30", ...names];
    await promisify(execFile)("openssl", ["req", ...made]);
    return (await fileOf("load-balancers.tf")).replaceAll("${path.module}", directory);
  },
  changed: (text) =>
    text
      .replace("idle_timeout               = 30", "idle_timeout               = 90")
      .replace('team = "a" }', 'team = "a", more = "b" }')
      .replace("subnets                    = slice(aws_subnet.public[*].id, 0, 2)", "subnets                    = aws_subnet.public[*].id")
      .replace(
        "security_groups            = [aws_security_group.lb.id]",
        "security_groups            = [aws_security_group.lb.id, aws_security_group.other.id]",
      )
      .replace('matcher             = "200-299"', 'matcher             = "200,204"')
      .replace("deregistration_delay          = 5", "deregistration_delay          = 9")
      .replace("port             = 9090", "port             = 9091")
      .replace("priority     = 10", "priority     = 15")
      .replace("weight = 80", "weight = 50")
      .replace('path_pattern { values = ["/v1/*"] }', 'path_pattern { values = ["/v0/*"] }')
      .replace(
        'port              = 6379\n  protocol                 = "TCP"',
        'port              = 6380\n  protocol                 = "TCP"',
      )
      .replace("tcp_idle_timeout_seconds = 120", "tcp_idle_timeout_seconds = 360")
      .replace('alpn_policy       = "HTTP2Preferred"', 'alpn_policy       = "HTTP1Only"')
      .replace(
        'ELBSecurityPolicy-TLS13-1-2-2021-06"\n  certificate_arn   = aws_acm_certificate.imported.arn',
        'ELBSecurityPolicy-TLS13-1-2-Res-2021-06"\n  certificate_arn   = aws_acm_certificate.imported.arn',
      ),
  async before(server) {
    await server.aws("ec2", "describe-vpcs");
    before = await left(server);
  },
  applied({ dns, ...outputs }) {
    assert.match(dns as string, /^web-\d+\.us-east-1\.elb\.gantry\.internal$/);
    assert.deepEqual(outputs, {
      same: true,
      zone: true,
      team: 1,
      listener: "ELBSecurityPolicy-TLS13-1-2-2021-06",
      used_by: true,
      certificate: true,
      interfaces: 2,
      rule_priority: 21,
      eips: true,
      suffix: "app/web/id",
    });
  },
  async destroyed(server) {
    assert.deepEqual(
      (await left(server)).filter((each) => !before.includes(each)),
      [],
    );
  },
  async close() {
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  },
};
