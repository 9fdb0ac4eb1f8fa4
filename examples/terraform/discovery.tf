# Inside the VPC the service is also `<name>.<name>.internal`: the addresses of its tasks.
resource "aws_service_discovery_private_dns_namespace" "main" {
  name        = "${var.name}.internal"
  description = "Names of ${var.name}'s services"
  vpc         = aws_vpc.main.id
}

resource "aws_service_discovery_service" "app" {
  name = var.name
  dns_config {
    namespace_id   = aws_service_discovery_private_dns_namespace.main.id
    routing_policy = "MULTIVALUE"
    dns_records {
      type = "A"
      ttl  = 10
    }
  }
  # ECS says which tasks are healthy.
  health_check_custom_config {
    failure_threshold = 1
  }
}
