/** Cloud Map by real Terraform: applied, planned clean, changed, destroyed, and nothing of it left. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createEc2 } from "#services/ec2/index.ts";
import { createRoute53 } from "#services/route53/index.ts";
import { createServiceDiscovery } from "#services/servicediscovery/index.ts";
import { createSts } from "#services/sts/index.ts";
import { startServer } from "../support/http.ts";
import { findTerraform, startTerraform } from "./support.ts";

const found = findTerraform();
const skip = "missing" in found ? found.missing : false;

const configuration = `
data "aws_vpc" "default" { default = true }

resource "aws_service_discovery_http_namespace" "apps" {
  name        = "apps"
  description = "all apps"
  tags        = { team = "a" }
}

resource "aws_service_discovery_private_dns_namespace" "corp" {
  name        = "corp.local"
  description = "inside"
  vpc         = data.aws_vpc.default.id
  tags        = { team = "a" }
}

resource "aws_service_discovery_service" "api" {
  name         = "api"
  namespace_id = aws_service_discovery_http_namespace.apps.id
}

resource "aws_service_discovery_service" "web" {
  name = "web"
  dns_config {
    namespace_id   = aws_service_discovery_private_dns_namespace.corp.id
    routing_policy = "MULTIVALUE"
    dns_records {
      ttl  = 10
      type = "A"
    }
    dns_records {
      ttl  = 20
      type = "SRV"
    }
  }
  health_check_custom_config {
    failure_threshold = 1
  }
  tags = { tier = "front" }
}

resource "aws_service_discovery_service" "alias" {
  name = "alias"
  dns_config {
    namespace_id   = aws_service_discovery_private_dns_namespace.corp.id
    routing_policy = "WEIGHTED"
    dns_records {
      ttl  = 60
      type = "CNAME"
    }
  }
}

resource "aws_service_discovery_instance" "one" {
  instance_id = "one"
  service_id  = aws_service_discovery_service.web.id
  attributes = {
    AWS_INSTANCE_IPV4 = "172.31.0.10"
    AWS_INSTANCE_PORT = "8080"
    version           = "v1"
  }
}

resource "aws_service_discovery_instance" "alias" {
  instance_id = "alias"
  service_id  = aws_service_discovery_service.alias.id
  attributes  = { AWS_INSTANCE_CNAME = "web.corp.local" }
}

data "aws_service_discovery_dns_namespace" "corp" {
  name       = aws_service_discovery_private_dns_namespace.corp.name
  type       = "DNS_PRIVATE"
}

data "aws_service_discovery_service" "web" {
  name         = aws_service_discovery_service.web.name
  namespace_id = aws_service_discovery_private_dns_namespace.corp.id
}

data "aws_route53_zone" "corp" {
  zone_id = aws_service_discovery_private_dns_namespace.corp.hosted_zone
}

data "aws_route53_zone" "by_name" {
  name         = "\${aws_service_discovery_private_dns_namespace.corp.name}."
  private_zone = true
  vpc_id       = data.aws_vpc.default.id
}

output "same" {
  value = [
    data.aws_service_discovery_dns_namespace.corp.id == aws_service_discovery_private_dns_namespace.corp.id,
    data.aws_service_discovery_service.web.arn == aws_service_discovery_service.web.arn,
    data.aws_route53_zone.by_name.zone_id == data.aws_route53_zone.corp.zone_id,
  ]
}
output "zone" { value = data.aws_route53_zone.corp.name }
`;

test(
  "Terraform applies namespaces, services and instances, plans clean, changes and destroys them",
  { skip, timeout: 600_000 },
  async () => {
    assert.ok("terraform" in found);
    const server = await startServer({
      parts: (deps) => [createSts(deps), createEc2(deps), createServiceDiscovery(deps), createRoute53(deps)],
    });
    const terraform = await startTerraform(found, server.endpoint, ["ec2", "sts", "iam", "servicediscovery", "route53"]);
    const keys = async () => (await server.deps.store.list("/servicediscovery")).entries.map(({ key }) => key);
    try {
      await terraform.apply(configuration);
      const clean = await terraform.plan();
      assert.equal(clean.code, 0, clean.text);
      assert.deepEqual(await terraform.outputs(), { same: [true, true, true], zone: "corp.local" });
      const changed = configuration
        .replace('"all apps"', '"every app"')
        .replace('"inside"', '"within"')
        .replace("ttl  = 10", "ttl  = 15")
        .replace('version           = "v1"', 'version           = "v2"')
        .replace('tier = "front"', 'tier = "web"');
      await terraform.apply(changed);
      const again = await terraform.plan();
      assert.equal(again.code, 0, again.text);
      await terraform.destroy();
      assert.deepEqual(await terraform.state(), []);
      assert.deepEqual(
        (await keys()).filter((key) => key.startsWith("/servicediscovery/")),
        [],
      );
    } finally {
      await terraform.remove();
      await server.close();
    }
  },
);
