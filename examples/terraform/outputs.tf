output "url" {
  description = "Where the service answers."
  value       = "http://${aws_lb.app.dns_name}/"
}

output "repository" {
  description = "Where its images are pushed."
  value       = aws_ecr_repository.app.repository_url
}

output "discovery" {
  description = "The service's name inside the VPC."
  value       = "${aws_service_discovery_service.app.name}.${aws_service_discovery_private_dns_namespace.main.name}"
}

output "cluster" {
  value = aws_ecs_cluster.main.name
}

output "log_group" {
  value = aws_cloudwatch_log_group.app.name
}
