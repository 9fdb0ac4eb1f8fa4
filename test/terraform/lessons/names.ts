/** Cloud Map. */
import assert from "node:assert/strict";
import type { Lesson } from "./lesson.ts";
import { keysBelow } from "./lesson.ts";

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

export const names: Lesson = {
  name: "names",
  services: ["ec2", "servicediscovery", "route53"],
  configuration: async () => configuration,
  changed: (text) =>
    text
      .replace('"all apps"', '"every app"')
      .replace('"inside"', '"within"')
      .replace("ttl  = 10", "ttl  = 15")
      .replace('version           = "v1"', 'version           = "v2"')
      .replace('tier = "front"', 'tier = "web"'),
  applied(outputs) {
    assert.deepEqual(outputs, { same: [true, true, true], zone: "corp.local" });
  },
  async destroyed(server) {
    assert.deepEqual(await keysBelow(server, "/servicediscovery/"), []);
  },
};
