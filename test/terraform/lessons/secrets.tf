resource "aws_kms_key" "app" {
  description             = "for the app"
  deletion_window_in_days = 7
  enable_key_rotation     = true
  rotation_period_in_days = 120
  tags                    = { team = "a" }
}

resource "aws_kms_alias" "app" {
  name          = "alias/app"
  target_key_id = aws_kms_key.app.key_id
}

data "aws_kms_alias" "managed" {
  name = "alias/aws/ssm"
}

resource "aws_secretsmanager_secret" "db" {
  name                    = "app/db"
  description             = "of the database"
  kms_key_id              = aws_kms_key.app.arn
  recovery_window_in_days = 7
  tags                    = { team = "a" }
}

resource "aws_secretsmanager_secret_version" "db" {
  secret_id     = aws_secretsmanager_secret.db.id
  secret_string = jsonencode({ username = "app", password = "sesame" })
}

resource "aws_secretsmanager_secret_policy" "db" {
  secret_arn = aws_secretsmanager_secret.db.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::000000000000:root" }
      Action    = "secretsmanager:GetSecretValue"
      Resource  = "*"
    }]
  })
}

resource "aws_secretsmanager_secret" "binary" {
  name                    = "app/binary"
  recovery_window_in_days = 0
}

resource "aws_secretsmanager_secret_version" "binary" {
  secret_id     = aws_secretsmanager_secret.binary.id
  secret_binary = base64encode("bytes")
}

data "aws_secretsmanager_secret_version" "db" {
  secret_id  = aws_secretsmanager_secret.db.id
  depends_on = [aws_secretsmanager_secret_version.db]
}

data "aws_secretsmanager_random_password" "one" {
  password_length     = 24
  exclude_punctuation = true
}

resource "aws_ssm_parameter" "plain" {
  name            = "/app/plain"
  type            = "String"
  value           = "12"
  description     = "a number"
  allowed_pattern = "^\\d+$"
  tags            = { team = "a" }
}

resource "aws_ssm_parameter" "list" {
  name  = "/app/list"
  type  = "StringList"
  value = "a,b"
}

resource "aws_ssm_parameter" "secure" {
  name   = "/app/secure"
  type   = "SecureString"
  value  = "hidden"
  key_id = aws_kms_alias.app.name
}

resource "aws_ssm_parameter" "advanced" {
  name  = "/app/advanced"
  type  = "String"
  tier  = "Advanced"
  value = join("", [for i in range(500) : "0123456789"])
}

data "aws_ssm_parameter" "secure" {
  name       = aws_ssm_parameter.secure.name
  depends_on = [aws_ssm_parameter.secure]
}

data "aws_ssm_parameters_by_path" "app" {
  path       = "/app"
  depends_on = [aws_ssm_parameter.plain, aws_ssm_parameter.list, aws_ssm_parameter.secure, aws_ssm_parameter.advanced]
}

output "read" {
  value     = jsondecode(data.aws_secretsmanager_secret_version.db.secret_string).password
  sensitive = true
}
output "parameter" {
  value     = data.aws_ssm_parameter.secure.value
  sensitive = true
}
output "names" {
  value = sort(data.aws_ssm_parameters_by_path.app.names)
}
output "managed" {
  value = length(data.aws_kms_alias.managed.target_key_id)
}
