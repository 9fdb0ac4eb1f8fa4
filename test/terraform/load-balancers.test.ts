/** Load balancers and their certificates by real Terraform: applied, planned clean, changed, destroyed, and nothing of them left. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { createAcm } from "#services/acm/index.ts";
import { createEc2 } from "#services/ec2/index.ts";
import { createElbv2 } from "#services/elbv2/index.ts";
import { createSts } from "#services/sts/index.ts";
import { startServer } from "../support/http.ts";
import { findTerraform, startTerraform } from "./support.ts";

const found = findTerraform();
const skip = "missing" in found ? found.missing : false;
const source = new URL("load-balancers.tf", import.meta.url);

test(
  "Terraform applies load balancers with all that belongs to them, plans clean, changes them, destroys them",
  { skip, timeout: 600_000 },
  async () => {
    assert.ok("terraform" in found);
    const server = await startServer({ parts: (deps) => [createSts(deps), createEc2(deps), createElbv2(deps), createAcm(deps)] });
    const terraform = await startTerraform(found, server.endpoint, ["ec2", "sts", "iam", "elbv2", "acm"]);
    const keys = mkdtemp(join(tmpdir(), "gantry-certificate-"));
    const left = async () => {
      const all = (await server.deps.store.list("/")).entries.map(({ key }) => key);
      return all.filter((key) => /^\/(elb|elb-health|acm|ec2-public-address)\//.test(key) || /network-interface|address-in-use/.test(key));
    };
    try {
      await server.aws("ec2", "describe-vpcs");
      const before = await left();
      const directory = await keys;
      const [key, certificate] = [join(directory, "key.pem"), join(directory, "cert.pem")];
      const names = ["-subj", "/CN=www.example.com", "-addext", "subjectAltName=DNS:www.example.com"];
      await promisify(execFile)("openssl", [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-out",
        certificate,
        "-days",
        "30",
        ...names,
      ]);
      const configuration = (await readFile(source, "utf8")).replaceAll("${path.module}", directory);
      await terraform.apply(configuration);
      const clean = await terraform.plan();
      assert.equal(clean.code, 0, clean.text);
      const { dns, ...outputs } = await terraform.outputs();
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

      // Changed in place.
      const changed = configuration
        .replace("idle_timeout               = 30", "idle_timeout               = 90")
        .replace('team = "a" }', 'team = "a", more = "b" }')
        .replace(
          "subnets                    = slice(aws_subnet.public[*].id, 0, 2)",
          "subnets                    = aws_subnet.public[*].id",
        )
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
        );
      await terraform.apply(changed);
      const again = await terraform.plan();
      assert.equal(again.code, 0, again.text);

      await terraform.destroy();
      assert.deepEqual(await terraform.state(), []);
      assert.deepEqual(
        (await left()).filter((each) => !before.includes(each)),
        [],
      );
    } finally {
      await terraform.remove();
      await rm(await keys, { recursive: true, force: true });
      await server.close();
    }
  },
);
