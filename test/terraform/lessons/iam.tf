data "aws_caller_identity" "me" {}

data "aws_partition" "this" {}

data "aws_iam_policy" "execution" {
  arn = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

data "aws_iam_policy_document" "tasks" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.me.account_id]
    }
  }
}

data "aws_iam_policy_document" "people" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = [aws_iam_user.ann.arn]
    }
  }
}

data "aws_iam_policy_document" "read" {
  statement {
    sid       = "Read"
    actions   = ["ecs:Describe*", "ecs:List*"]
    resources = ["*"]
  }
  statement {
    effect    = "Deny"
    actions   = ["ecs:DeleteCluster"]
    resources = ["arn:aws:ecs:*:*:cluster/prod"]
  }
}

resource "aws_iam_policy" "read" {
  name        = "read"
  path        = "/app/"
  description = "reads"
  policy      = data.aws_iam_policy_document.read.json
  tags        = { team = "a" }
}

resource "aws_iam_role" "task" {
  name                 = "task"
  path                 = "/app/"
  description          = "of tasks"
  assume_role_policy   = data.aws_iam_policy_document.tasks.json
  max_session_duration = 7200
  permissions_boundary = aws_iam_policy.read.arn
  tags                 = { team = "a" }
}

resource "aws_iam_role" "people" {
  name_prefix        = "people-"
  assume_role_policy = data.aws_iam_policy_document.people.json
}

resource "aws_iam_role_policy" "logs" {
  name   = "logs"
  role   = aws_iam_role.task.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "logs:PutLogEvents", Resource = "*" }] })
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.task.name
  policy_arn = data.aws_iam_policy.execution.arn
}

resource "aws_iam_role_policy_attachment" "read" {
  role       = aws_iam_role.task.name
  policy_arn = aws_iam_policy.read.arn
}

resource "aws_iam_user" "ann" {
  name          = "ann"
  path          = "/people/"
  force_destroy = true
  tags          = { floor = "2" }
}

resource "aws_iam_access_key" "ann" {
  user   = aws_iam_user.ann.name
  status = "Active"
}

resource "aws_iam_user_policy" "ann" {
  name   = "own"
  user   = aws_iam_user.ann.name
  policy = data.aws_iam_policy_document.read.json
}

resource "aws_iam_group" "devs" {
  name = "devs"
  path = "/people/"
}

resource "aws_iam_group_policy" "devs" {
  name   = "devs"
  group  = aws_iam_group.devs.name
  policy = data.aws_iam_policy_document.read.json
}

resource "aws_iam_group_policy_attachment" "devs" {
  group      = aws_iam_group.devs.name
  policy_arn = aws_iam_policy.read.arn
}

resource "aws_iam_user_group_membership" "ann" {
  user   = aws_iam_user.ann.name
  groups = [aws_iam_group.devs.name]
}

resource "aws_iam_user_policy_attachment" "ann" {
  user       = aws_iam_user.ann.name
  policy_arn = aws_iam_policy.read.arn
}

resource "aws_iam_instance_profile" "node" {
  name = "node"
  role = aws_iam_role.people.name
  tags = { team = "a" }
}

resource "aws_iam_service_linked_role" "ecs" {
  aws_service_name = "ecs.application-autoscaling.amazonaws.com"
}

resource "aws_iam_openid_connect_provider" "ci" {
  url             = "https://token.example.com"
  client_id_list  = ["sts.amazonaws.com"]
  thumbprint_list = ["990f4193972f2becf12ddeda5237f9c952f20d9e"]
}

resource "aws_iam_account_alias" "shop" {
  account_alias = "our-shop"
}

output "account" {
  value = data.aws_caller_identity.me.account_id
}

output "role" {
  value = aws_iam_role.task.arn
}

output "key" {
  value = { id = aws_iam_access_key.ann.id, secret = aws_iam_access_key.ann.secret }
  sensitive = true
}

output "profile" {
  value = aws_iam_instance_profile.node.arn
}

output "linked" {
  value = aws_iam_service_linked_role.ecs.arn
}

output "provider" {
  value = aws_iam_openid_connect_provider.ci.arn
}
