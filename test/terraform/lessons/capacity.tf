# Instances as people build them for ECS: a launch template, an Auto Scaling group, a capacity provider; and one instance by itself.

data "aws_ami" "ecs" {
  most_recent = true
  owners      = ["amazon"]
  filter {
    name   = "name"
    values = ["al2023-ami-ecs-hvm-*-x86_64"]
  }
}

data "aws_vpc" "default" {
  default = true
}

data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}

resource "aws_key_pair" "admin" {
  key_name   = "admin"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVvqTzgOxsDdHBxJ4z7QxFVw2qgqAvO4Kd9l8DZhT7c admin@example.com"
}

resource "aws_security_group" "nodes" {
  name   = "nodes"
  vpc_id = data.aws_vpc.default.id
  ingress {
    from_port   = 22
    to_port     = 22
    protocol    = "tcp"
    cidr_blocks = ["10.0.0.0/8"]
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_launch_template" "nodes" {
  name_prefix            = "nodes-"
  image_id               = data.aws_ami.ecs.id
  instance_type          = "t3.small"
  key_name               = aws_key_pair.admin.key_name
  vpc_security_group_ids = [aws_security_group.nodes.id]
  update_default_version = true
  user_data              = base64encode("#!/bin/bash\necho ECS_CLUSTER=elastic >> /etc/ecs/ecs.config\n")
  metadata_options {
    http_tokens = "required"
  }
  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size = 40
      volume_type = "gp3"
    }
  }
  tag_specifications {
    resource_type = "instance"
    tags          = { team = "a" }
  }
}

resource "aws_autoscaling_group" "nodes" {
  name                  = "nodes"
  min_size              = 1
  max_size              = 3
  desired_capacity      = 1
  vpc_zone_identifier   = data.aws_subnets.default.ids
  protect_from_scale_in = true
  launch_template {
    id      = aws_launch_template.nodes.id
    version = "$Latest"
  }
  tag {
    key                 = "AmazonECSManaged"
    value               = ""
    propagate_at_launch = true
  }
}

resource "aws_ecs_cluster" "elastic" {
  name = "elastic"
}

resource "aws_ecs_capacity_provider" "nodes" {
  name = "nodes"
  auto_scaling_group_provider {
    auto_scaling_group_arn         = aws_autoscaling_group.nodes.arn
    managed_termination_protection = "ENABLED"
    managed_draining               = "ENABLED"
    managed_scaling {
      status          = "ENABLED"
      target_capacity = 100
    }
  }
}

resource "aws_ecs_cluster_capacity_providers" "elastic" {
  cluster_name       = aws_ecs_cluster.elastic.name
  capacity_providers = [aws_ecs_capacity_provider.nodes.name]
  default_capacity_provider_strategy {
    capacity_provider = aws_ecs_capacity_provider.nodes.name
    weight            = 1
  }
}

resource "aws_instance" "one" {
  ami                    = data.aws_ami.ecs.id
  instance_type          = "t3.micro"
  key_name               = aws_key_pair.admin.key_name
  vpc_security_group_ids = [aws_security_group.nodes.id]
  subnet_id              = sort(data.aws_subnets.default.ids)[0]
  tags                   = { Name = "one" }
  root_block_device {
    volume_size = 20
    volume_type = "gp3"
  }
}

output "instance" {
  value = aws_instance.one.id
}
output "public" {
  value = aws_instance.one.public_ip != ""
}
